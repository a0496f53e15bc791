import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Envelope,
  type EnvelopeHeader,
  EnvelopeHeaderSchema,
  EnvelopeSchema,
} from "../../gen/keypears/v1/envelope_pb.ts";
import { randomBytes, utf8 } from "../../src/crypto/bytes.ts";
import { composite } from "../../src/crypto/composite.ts";
import { contentKeyCommitment, generateContentKey, sealContent } from "../../src/crypto/content.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import { wrapContentKey } from "../../src/crypto/key-wrap.ts";
import { MIN_PADDED_LENGTH, pad, paddedLength } from "../../src/crypto/padding.ts";
import { primitives } from "../../src/crypto/select.ts";
import { isCanonicalAddress, MAX_ADDRESS_OCTETS } from "../../src/protocol/address.ts";
import { parseEnvelope, shareIdOf } from "../../src/protocol/envelope.ts";
import { signingKey } from "../../src/protocol/key-set.ts";
import { MAX_ENVELOPE_BYTES } from "../../src/protocol/limits.ts";
import { encodePayload, MAX_PAYLOAD_BYTES, type ShareContent } from "../../src/protocol/payload.ts";
import { openShare, sealShare } from "../../src/protocol/seal.ts";
import { firstKeySet, nextKeySet, type Owned, START } from "./people.ts";
import { refusal } from "./refusal.ts";
import { fileOfEncodedLength, smallContent } from "./share-contents.ts";
import { bytes } from "./wire.ts";

const alice = nextKeySet(firstKeySet("alice@example.com"));
const bob = firstKeySet("bob@example.org");
const carol = firstKeySet("carol@example.org");
const HELLO: ShareContent = { kind: "text", text: "hello" };
const YEAR = 365 * 24 * 60 * 60 * 1_000;
const ONE_ERROR = "the share has expired, or was not sealed to these keys as it stands";

interface Sealing {
  readonly content?: ShareContent;
  readonly sender?: Owned;
  readonly recipient?: Owned;
  readonly expiresAt?: number;
}
function seal({ content = HELLO, sender = alice, recipient = bob, expiresAt = 0 }: Sealing = {}): Envelope {
  return sealShare({ content, sender, recipient: recipient.keySet, createdAt: START, expiresAt }).envelope;
}
function open(
  envelope: Envelope,
  opener: Owned = bob,
  role: "recipient" | "sender" = "recipient",
  now = START,
) {
  return openShare(parseEnvelope(envelope), alice.keySet.publicKeys, { role, seeds: opener.seeds }, now);
}

/** What a sender makes who keeps to the format and to nothing else: any header and ciphertext under a true signature. */
function signed(
  header: EnvelopeHeader,
  ciphertext: Uint8Array | ((headerBytes: Uint8Array) => Uint8Array),
): Envelope {
  const headerBytes = toBinary(EnvelopeHeaderSchema, header);
  const sealed = typeof ciphertext === "function" ? ciphertext(headerBytes) : ciphertext;
  const shareId = shareIdOf(headerBytes, sealed);
  return create(EnvelopeSchema, {
    header: headerBytes,
    ciphertext: sealed,
    signature: composite.sign(signingKey(alice.seeds), shareId, SIGNATURE_CONTEXT.share),
  });
}

/** A header as Alice would make it for Bob, with the content key to seal by. */
function madeByHand(): { header: EnvelopeHeader; contentKey: Uint8Array } {
  const contentKey = generateContentKey();
  const wrap = (to: Owned) => ({
    address: to.keySet.address,
    keyNumber: to.keySet.number,
    ...wrapContentKey(contentKey, to.keySet.publicKeys, {
      sender: "alice@example.com",
      senderKeyNumber: 2,
      wrapAddress: to.keySet.address,
      wrapKeyNumber: to.keySet.number,
    }),
  });
  const header = create(EnvelopeHeaderSchema, {
    version: 1,
    sender: "alice@example.com",
    senderKeyNumber: 2,
    recipient: "bob@example.org",
    createdAt: BigInt(START),
    contentNonce: randomBytes(12),
    contentKeyCommitment: contentKeyCommitment(contentKey),
    wraps: [wrap(bob), wrap(alice)],
  });
  return { header, contentKey };
}

const payload = encodePayload(HELLO);
const { aes256Gcm } = primitives();

describe("a share that does not open", () => {
  it.each([
    ["another's set", carol],
    ["the recipient's set", bob],
    ["the sender's former set", firstKeySet("alice@example.com")],
  ])("says so when %s should have signed it, whoever opens it", (_, signer) => {
    const parsed = parseEnvelope(seal());
    for (const seeds of [bob.seeds, carol.seeds]) {
      const opening = () => openShare(parsed, signer.keySet.publicKeys, { role: "recipient", seeds }, START);
      expect(refusal(opening)).toMatchObject({
        reason: "SHARE_SIGNATURE_INVALID",
        message: "the sender's keys did not sign this share",
      });
    }
  });

  it("shows a bad signature before anything else, also once it has expired", () => {
    const expired = seal({ expiresAt: START + 1 });
    expired.signature = Uint8Array.from(expired.signature, (byte, index) => (index === 0 ? byte ^ 1 : byte));
    expect(refusal(() => open(expired, carol, "sender", START + 1)).reason).toBe("SHARE_SIGNATURE_INVALID");
  });

  const { header, contentKey } = madeByHand();
  const otherKey = generateContentKey();
  const [toBob, toAlice] = header.wraps;
  if (!toBob || !toAlice) throw new Error("the envelope has no two wraps");
  const sealedUnder = (key: Uint8Array, content: Uint8Array) => (headerBytes: Uint8Array) =>
    sealContent(key, header.contentNonce, content, headerBytes);
  const padded = (content: Uint8Array) => (headerBytes: Uint8Array) =>
    aes256Gcm.seal(contentKey, header.contentNonce, content, headerBytes);
  const changed = (change: Partial<EnvelopeHeader>, ciphertext = sealedUnder(contentKey, payload)) =>
    signed(create(EnvelopeHeaderSchema, { ...header, ...change }), ciphertext);
  const bentWrap = (change: Partial<typeof toBob>) => changed({ wraps: [{ ...toBob, ...change }, toAlice] });
  const bent = (value: Uint8Array) => value.map((byte, index) => (index === 0 ? byte ^ 1 : byte));

  const afterSignature: [string, () => unknown][] = [
    ["has expired", () => open(seal({ expiresAt: START + 1_000 }), bob, "recipient", START + 1_000)],
    ["expired long ago", () => open(seal({ expiresAt: START + 1_000 }), bob, "recipient", START + YEAR)],
    ["is opened by somebody else", () => open(seal(), carol)],
    ["is opened by the sender as the recipient", () => open(seal(), alice, "recipient")],
    ["is opened by the recipient as the sender", () => open(seal(), bob, "sender")],
    ["is opened with seeds of another number", () => open(seal(), nextKeySet(bob))],
    [
      "is opened with seeds of no length",
      () =>
        openShare(
          parseEnvelope(seal()),
          alice.keySet.publicKeys,
          { role: "recipient", seeds: { ...bob.seeds, mlKem768: new Uint8Array() } },
          START,
        ),
    ],
    [
      "is opened with another X25519 seed",
      () =>
        openShare(
          parseEnvelope(seal()),
          alice.keySet.publicKeys,
          { role: "recipient", seeds: { ...bob.seeds, x25519: carol.seeds.x25519 } },
          START,
        ),
    ],
    [
      "is opened with another ML-KEM seed",
      () =>
        openShare(
          parseEnvelope(seal()),
          alice.keySet.publicKeys,
          { role: "recipient", seeds: { ...bob.seeds, mlKem768: carol.seeds.mlKem768 } },
          START,
        ),
    ],
    ["has a wrapped key that was bent", () => open(bentWrap({ wrappedKey: bent(toBob.wrappedKey) }))],
    [
      "has an ephemeral key that was bent",
      () => open(bentWrap({ x25519Ephemeral: bent(toBob.x25519Ephemeral) })),
    ],
    ["has an ephemeral key of low order", () => open(bentWrap({ x25519Ephemeral: new Uint8Array(32) }))],
    [
      "has an encapsulation that was bent",
      () => open(bentWrap({ mlKemCiphertext: bent(toBob.mlKemCiphertext) })),
    ],
    ["has the recipient's wrap under another number", () => open(bentWrap({ keyNumber: 2 }))],
    [
      "has the sender's wrap in the recipient's place",
      () => open(bentWrap({ ...toAlice, address: toBob.address, keyNumber: 1 })),
    ],
    [
      "has the wrap of another share",
      () => open(bentWrap({ ...fromBinary(EnvelopeHeaderSchema, seal().header).wraps[0] })),
    ],
    [
      "names another content key than it wraps",
      () => open(changed({ contentKeyCommitment: contentKeyCommitment(otherKey) })),
    ],
    [
      "names and uses another content key than it wraps",
      () =>
        open(
          changed({ contentKeyCommitment: contentKeyCommitment(otherKey) }, sealedUnder(otherKey, payload)),
        ),
    ],
    ["uses another content key than it names", () => open(changed({}, sealedUnder(otherKey, payload)))],
    [
      "was sealed under another nonce",
      () => open(changed({ contentNonce: new Uint8Array(12) }, sealedUnder(contentKey, payload))),
    ],
    [
      "was sealed under another header",
      () =>
        open(
          changed({ expiresAt: BigInt(START + 5) }, () =>
            sealedUnder(contentKey, payload)(toBinary(EnvelopeHeaderSchema, header)),
          ),
        ),
    ],
    ["is of random bytes", () => open(changed({}, () => randomBytes(528)))],
    ["has no marker behind its payload", () => open(changed({}, padded(new Uint8Array(MIN_PADDED_LENGTH))))],
    [
      "has another marker behind its payload",
      () =>
        open(
          changed({}, padded(pad(payload).map((byte, index) => (index === payload.length ? 0x81 : byte)))),
        ),
    ],
    [
      "is padded to more than it must be",
      () => open(changed({}, padded(pad(new Uint8Array(600)).fill(0).fill(0x80, 0, 1)))),
    ],
    ["is padded to no length of the scheme", () => open(changed({}, padded(lengthened(pad(payload), 1))))],
    ["holds nothing", () => open(changed({}, sealedUnder(contentKey, new Uint8Array())))],
    ["holds no protobuf message", () => open(changed({}, sealedUnder(contentKey, utf8("hello"))))],
    [
      "holds a kind that is not known",
      () => open(changed({}, sealedUnder(contentKey, bytes(4, "from the future")))),
    ],
  ];
  it.each(afterSignature)("gives the one error when it %s", (_, opening) => {
    const error = refusal(opening);
    expect({ ...error, message: error.message, cause: error.cause }).toEqual({
      name: "ProtocolError",
      reason: "SHARE_NOT_OPENED",
      field: undefined,
      message: ONE_ERROR,
      cause: undefined,
    });
  });

  it("would have opened, had it been made by hand as it should be", () => {
    expect(open(changed({}))).toEqual(HELLO);
    expect(open(changed({}), alice, "sender")).toEqual(HELLO);
  });
});

describe("sealing", () => {
  it.each([
    ["an expiry a millisecond beyond a year", { expiresAt: START + YEAR + 1 }],
    ["an expiry at once", { expiresAt: START }],
    ["an expiry in the past", { expiresAt: START - 1 }],
  ])("refuses %s, as every receiver would", (_, sealing) => {
    expect(refusal(() => seal(sealing))).toMatchObject({
      reason: "ENVELOPE_INVALID",
      message: "envelope: expires_at is not within a year after created_at",
    });
  });

  it("refuses content beyond what a share holds", () => {
    const content = { kind: "text", text: "x".repeat(MAX_PAYLOAD_BYTES) } as const;
    expect(refusal(() => seal({ content })).reason).toBe("PAYLOAD_TOO_LARGE");
  });

  it("draws everything fresh: two shares of one content have nothing random in common", () => {
    const [one, other] = [seal(), seal()].map(({ header }) => fromBinary(EnvelopeHeaderSchema, header));
    if (!one || !other) throw new Error("not sealed");
    const random = (header: EnvelopeHeader) => [
      header.contentNonce,
      header.contentKeyCommitment,
      ...header.wraps.flatMap((wrap) => [wrap.x25519Ephemeral, wrap.mlKemCiphertext, wrap.wrappedKey]),
    ];
    const seen = [...random(one), ...random(other)].map((part) => part.toString());
    expect(new Set(seen).size).toBe(16);
  });

  it("hides the length of what is small", () => {
    const lengths = ["", "x", "x".repeat(400)].map(
      (text) => seal({ content: { kind: "text", text } }).ciphertext.length,
    );
    expect(new Set(lengths)).toEqual(new Set([MIN_PADDED_LENGTH + 16]));
  });

  it("leaves keys and content as they were", () => {
    const before = JSON.stringify([alice.seeds, bob.keySet]);
    const content = { kind: "file", name: "a", mediaType: "", content: Uint8Array.of(1, 2, 3) } as const;
    seal({ content });
    expect(content.content).toEqual(Uint8Array.of(1, 2, 3));
    expect(JSON.stringify([alice.seeds, bob.keySet])).toBe(before);
  });
});

describe("a share that opens", () => {
  it("gives recipient and sender what was sealed, whatever it is", () => {
    fc.assert(
      fc.property(smallContent, (content) => {
        const envelope = seal({ content });
        expect(open(envelope)).toEqual(content);
        expect(open(envelope, alice, "sender")).toEqual(content);
      }),
    );
  });

  it("gives them what was sealed at every size, padded as the scheme has it", { timeout: 60_000 }, () => {
    const size = fc.oneof(
      fc.integer({ min: 20, max: MAX_PAYLOAD_BYTES }),
      fc.constantFrom(510, 511, 512, 513, 65_535, 65_536, MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES),
    );
    fc.assert(
      fc.property(size, (length) => {
        const content = fileOfEncodedLength(length, encodePayload);
        const envelope = seal({ content });
        expect(envelope.ciphertext.length).toBe(paddedLength(length) + 16);
        expect(open(envelope)).toEqual(content);
        expect(open(envelope, alice, "sender")).toEqual(content);
      }),
      { numRuns: 25 },
    );
  });

  it("stays within an envelope's size at its largest, between the longest addresses", () => {
    const longest = (letter: string) => {
      const labels = [63, 63, 63, 63].map((length) => letter.repeat(length)).join(".");
      const address = `"${letter} ${letter.repeat(60)}"@${labels}`;
      expect(isCanonicalAddress(address)).toBe(true);
      expect(address).toHaveLength(MAX_ADDRESS_OCTETS);
      return firstKeySet(address);
    };
    const [sender, recipient] = [longest("a"), longest("b")];
    const content = fileOfEncodedLength(MAX_PAYLOAD_BYTES, encodePayload);
    const envelope = seal({ content, sender, recipient, expiresAt: START + YEAR });
    const size = envelope.header.length + envelope.ciphertext.length + envelope.signature.length;
    expect(size).toBeLessThanOrEqual(MAX_ENVELOPE_BYTES);
    // One byte more would be padded to the next step of the scheme, beyond the limit.
    expect(size - envelope.ciphertext.length + paddedLength(MAX_PAYLOAD_BYTES + 1) + 16).toBeGreaterThan(
      MAX_ENVELOPE_BYTES,
    );
    const opener = { role: "recipient", seeds: recipient.seeds } as const;
    expect(openShare(parseEnvelope(envelope), sender.keySet.publicKeys, opener, START)).toEqual(content);
  });

  it("opens until its last millisecond, and at any time if it does not expire", () => {
    expect(open(seal({ expiresAt: START + YEAR }), bob, "recipient", START + YEAR - 1)).toEqual(HELLO);
    expect(open(seal(), bob, "recipient", START + 100 * YEAR)).toEqual(HELLO);
  });

  it("opens with the seeds of the number that it was sealed to, long after that was retired and revoked", () => {
    const envelope = seal();
    const newest = nextKeySet(nextKeySet(bob), { revokesPrevious: true });
    expect(newest.keySet.number).toBe(3);
    expect(open(envelope, bob, "recipient", START + 10 * YEAR)).toEqual(HELLO);
  });

  it("opens in either role when it was sent to oneself", () => {
    const envelope = seal({ recipient: alice });
    expect(open(envelope, alice, "recipient")).toEqual(HELLO);
    expect(open(envelope, alice, "sender")).toEqual(HELLO);
    expect(refusal(() => open(envelope, bob)).message).toBe(ONE_ERROR);
  });

  it("opens twice under one header, as two shares, when its sender seals two payloads so", () => {
    const { header, contentKey } = madeByHand();
    const texts = ["one", "other"];
    const envelopes = texts.map((text) =>
      signed(header, (headerBytes) =>
        sealContent(contentKey, header.contentNonce, encodePayload({ kind: "text", text }), headerBytes),
      ),
    );
    expect(envelopes.map((envelope) => open(envelope))).toEqual(
      texts.map((text) => ({ kind: "text", text })),
    );
    const ids = envelopes.map((envelope) => parseEnvelope(envelope).shareId.toString());
    expect(new Set(ids).size).toBe(2);
    const [one, other] = envelopes;
    if (!one || !other) throw new Error("not sealed");
    const mixed = create(EnvelopeSchema, { ...one, ciphertext: other.ciphertext });
    expect(refusal(() => open(mixed)).reason).toBe("SHARE_SIGNATURE_INVALID");
  });
});

describe("a share of which any bit was changed", () => {
  it("does not open", () => {
    const envelope = seal();
    fc.assert(
      fc.property(fc.constantFrom("header", "ciphertext", "signature"), fc.nat(), (part, where) => {
        const bit = where % (envelope[part].length * 8);
        const bentPart = envelope[part].map((byte, index) =>
          index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
        );
        const { reason } = refusal(() => open(create(EnvelopeSchema, { ...envelope, [part]: bentPart })));
        expect(["ENVELOPE_INVALID", "SHARE_SIGNATURE_INVALID"]).toContain(reason);
      }),
      { numRuns: 300 },
    );
  });

  it("does not open either when its own sender signs it so", () => {
    const original = seal();
    const header = fromBinary(EnvelopeHeaderSchema, original.header);
    fc.assert(
      fc.property(fc.nat({ max: original.ciphertext.length * 8 - 1 }), (bit) => {
        const bentPart = original.ciphertext.map((byte, index) =>
          index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
        );
        expect(refusal(() => open(signed(header, bentPart))).message).toBe(ONE_ERROR);
      }),
    );
  });
});

function lengthened(original: Uint8Array, by: number): Uint8Array {
  const longer = new Uint8Array(original.length + by);
  longer.set(original);
  return longer;
}
