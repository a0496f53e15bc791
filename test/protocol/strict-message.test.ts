import { create, equals, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type EnvelopeHeader,
  EnvelopeHeaderSchema,
  KeyWrapSchema,
} from "../../gen/keypears/v1/envelope_pb.ts";
import { KeySetBodySchema } from "../../gen/keypears/v1/key_set_pb.ts";
import { concat } from "../../src/crypto/bytes.ts";
import { decodeCanonical, sameBytes } from "../../src/protocol/strict-message.ts";
import { refusal, unlessRefused } from "./refusal.ts";
import { bytes, number, tag, varint } from "./wire.ts";

const decode = (encoded: Uint8Array) =>
  decodeCanonical(EnvelopeHeaderSchema, encoded, "REFUSED", "envelope header");

// A header with two wraps, field by field: nothing but its encoding is looked at here.
const firstWrap = concat(bytes(1, "bob@example.org"), number(2, 300), bytes(3, Uint8Array.of(1, 2)));
const secondWrap = concat(bytes(1, "alice@example.com"), number(2, 1));
const fields = [
  number(1, 1),
  bytes(2, "alice@example.com"),
  number(3, 1),
  bytes(4, "bob@example.org"),
  number(5, 1_767_225_600_000n),
  bytes(7, new Uint8Array(12).fill(7)),
  bytes(9, firstWrap),
  bytes(9, secondWrap),
] as const;
const canonical = concat(...fields);

/** The header with other bytes in place of one of its fields. */
const replacing = (index: number, ...replacement: Uint8Array[]) =>
  concat(...fields.slice(0, index), ...replacement, ...fields.slice(index + 1));
const withFirstWrap = (wrap: Uint8Array) => replacing(6, bytes(9, wrap));

describe("a signed body that is not in its one canonical encoding", () => {
  const notCanonical: [string, Uint8Array][] = [
    ["an unknown field at the end", concat(canonical, number(99, 1))],
    ["an unknown field at the start", concat(number(99, 1), canonical)],
    ["an unknown field with the highest number", concat(canonical, bytes(536_870_911, "x"))],
    ["an unknown empty group", concat(canonical, tag(99, 3), tag(99, 4))],
    ["a scalar twice, the same", replacing(2, number(3, 1), number(3, 1))],
    ["a scalar twice, first another", replacing(2, number(3, 2), number(3, 1))],
    ["a string twice", replacing(1, bytes(2, "mallory@example.com"), bytes(2, "alice@example.com"))],
    ["two fields out of order", concat(fields[1], fields[0], ...fields.slice(2))],
    ["a list before a lower field", concat(...fields.slice(0, 5), fields[6], fields[7], fields[5])],
    ["a list in two places", concat(...fields.slice(0, 5), fields[6], fields[5], fields[7])],
    ["an explicit zero", concat(...fields.slice(0, 5), number(6, 0), ...fields.slice(5))],
    ["an explicit empty byte string", concat(...fields.slice(0, 6), bytes(8, ""), ...fields.slice(6))],
    ["a needlessly long number", replacing(2, tag(3, 0), varint(1, 1))],
    ["a number of ten bytes", replacing(2, tag(3, 0), varint(1, 9))],
    ["a needlessly long tag", replacing(2, varint(3 * 8, 1), varint(1))],
    ["a needlessly long length", replacing(5, tag(7, 2), varint(12, 1), new Uint8Array(12).fill(7))],
    ["a uint32 above its range", replacing(2, number(3, 2n ** 32n + 1n))],
    ["a nested unknown field", withFirstWrap(concat(firstWrap, number(6, 1)))],
    ["a nested scalar twice", withFirstWrap(concat(firstWrap, bytes(3, Uint8Array.of(1, 2))))],
    [
      "nested fields out of order",
      withFirstWrap(concat(number(2, 300), bytes(1, "bob@example.org"), bytes(3, Uint8Array.of(1, 2)))),
    ],
    ["a nested explicit default", withFirstWrap(concat(firstWrap, bytes(4, "")))],
    [
      "a nested needlessly long number",
      withFirstWrap(
        concat(bytes(1, "bob@example.org"), tag(2, 0), varint(300, 1), bytes(3, Uint8Array.of(1, 2))),
      ),
    ],
    ["a nested needlessly long length", replacing(6, tag(9, 2), varint(firstWrap.length, 2), firstWrap)],
    ["the empty message with an explicit default", number(1, 0)],
  ];
  it.each(notCanonical)("is refused for %s", (_, encoded) => {
    expect(refusal(() => decode(encoded))).toMatchObject({
      reason: "REFUSED",
      message: "envelope header is not in canonical encoding",
    });
  });

  // Whether a decoder takes these for broken or for another encoding is its own business: none may let one pass.
  const broken: [string, Uint8Array][] = [
    ["invalid UTF-8", replacing(1, bytes(2, Uint8Array.of(0x61, 0xff, 0x62)))],
    ["UTF-8 of a surrogate", replacing(1, bytes(2, Uint8Array.of(0xed, 0xa0, 0x80)))],
    ["overlong UTF-8", replacing(1, bytes(2, Uint8Array.of(0xc1, 0x81)))],
    ["half a byte order mark", replacing(1, bytes(2, Uint8Array.of(0xef, 0xbb)))],
    ["a string as a number", replacing(1, number(2, 5))],
    ["a number as bytes", replacing(2, bytes(3, Uint8Array.of(1)))],
    ["a packed number", replacing(0, bytes(1, varint(1)))],
    ["a number as four bytes", replacing(2, tag(3, 5), Uint8Array.of(1, 0, 0, 0))],
    ["a number as eight bytes", replacing(4, tag(5, 1), new Uint8Array(8).fill(1))],
    ["a wrap as a group", replacing(6, tag(9, 3), firstWrap, tag(9, 4))],
    ["a group that does not end", concat(canonical, tag(99, 3))],
    ["an end without a group", concat(canonical, tag(99, 4))],
    [
      "groups in groups a thousand deep",
      concat(canonical, ...Array.from({ length: 1_000 }, () => tag(99, 3))),
    ],
    ["groups in groups to the size of an envelope", new Uint8Array(256 * 1024).fill(0x1b)],
    ["a field number of zero", concat(canonical, Uint8Array.of(0x00, 0x00))],
    ["a wire type that there is not", concat(canonical, tag(99, 7), varint(1))],
    ["a byte too many", concat(canonical, Uint8Array.of(0))],
    ["a tag without a value", concat(canonical, tag(10, 0))],
    ["a length beyond the end", concat(canonical, tag(9, 2), varint(1_000))],
    ["a length of 2^32 and more", concat(canonical, tag(9, 2), varint(2n ** 33n))],
    ["a varint of eleven bytes", replacing(2, tag(3, 0), varint(1, 10))],
    [
      "a nested length beyond the nested end",
      replacing(6, tag(9, 2), varint(4), tag(1, 2), varint(100), firstWrap),
    ],
  ];
  it.each(broken)("is refused for %s", (_, encoded) => {
    const error = refusal(() => decode(encoded));
    expect(error.reason).toBe("REFUSED");
    expect(error.message).toMatch(
      /^envelope header is (no valid protobuf message|not in canonical encoding)$/,
    );
  });

  it("is refused wherever it is cut off", () => {
    const wholeFields = new Set<number>();
    fields.reduce((end, field) => {
      wholeFields.add(end);
      return end + field.length;
    }, 0);
    for (let length = 1; length < canonical.length; length++) {
      const cut = canonical.subarray(0, length);
      if (wholeFields.has(length)) expect(toBinary(EnvelopeHeaderSchema, decode(cut))).toEqual(cut);
      else expect(refusal(() => decode(cut)).reason).toBe("REFUSED");
    }
  });
});

describe("a signed body in canonical encoding", () => {
  it("is read as what was written", () => {
    const header = decode(canonical);
    expect(header).toMatchObject({ version: 1, sender: "alice@example.com", createdAt: 1_767_225_600_000n });
    expect(header.wraps.map(({ address, keyNumber }) => [address, keyNumber])).toEqual([
      ["bob@example.org", 300],
      ["alice@example.com", 1],
    ]);
    expect(header.expiresAt).toBe(0n);
  });

  it("may be empty, where a message has nothing but defaults", () => {
    expect(decode(new Uint8Array()).version).toBe(0);
  });

  it("keeps a byte order mark as a letter of the text", () => {
    const encoded = replacing(1, bytes(2, Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)));
    expect(decode(encoded).sender).toBe("\ufeffa");
  });

  it("is what the library writes, whatever the message says", () => {
    fc.assert(
      fc.property(headerArbitrary, (header) => {
        const encoded = toBinary(EnvelopeHeaderSchema, header);
        expect(equals(EnvelopeHeaderSchema, decode(encoded), header)).toBe(true);
      }),
    );
  });

  it("is the only encoding of its message, whatever is cut out, put in or changed", () => {
    fc.assert(
      fc.property(
        headerArbitrary,
        fc.nat(),
        fc.nat({ max: 6 }),
        fc.uint8Array({ maxLength: 6 }),
        (header, at, cut, put) => {
          const encoded = toBinary(EnvelopeHeaderSchema, header);
          const start = at % (encoded.length + 1);
          const changed = concat(encoded.subarray(0, start), put, encoded.subarray(start + cut));
          const read = unlessRefused(() => decode(changed));
          if (read === undefined) return;
          expect(toBinary(EnvelopeHeaderSchema, read)).toEqual(changed);
          expect(equals(EnvelopeHeaderSchema, read, header)).toBe(sameBytes(changed, encoded));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("is read, or refused with the given reason, from any bytes at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (encoded) => {
        unlessRefused(() => decodeCanonical(KeySetBodySchema, encoded, "REFUSED", "key set body"));
        unlessRefused(() => decode(encoded));
      }),
      { numRuns: 3_000 },
    );
  });
});

const headerArbitrary: fc.Arbitrary<EnvelopeHeader> = fc
  .record({
    version: fc.nat({ max: 3 }),
    sender: fc.string({ unit: "grapheme", maxLength: 5 }),
    senderKeyNumber: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    createdAt: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    contentNonce: fc.uint8Array({ maxLength: 4 }),
    wraps: fc.array(
      fc
        .record({ address: fc.constantFrom("", "a@b.c"), keyNumber: fc.nat({ max: 200 }) })
        .map((wrap) => create(KeyWrapSchema, wrap)),
      { maxLength: 3 },
    ),
  })
  .filter(({ sender }) => sender.isWellFormed())
  .map((header) => create(EnvelopeHeaderSchema, header));
