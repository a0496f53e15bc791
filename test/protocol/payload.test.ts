import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SharePayloadSchema, TextItemSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { concat } from "../../src/crypto/bytes.ts";
import {
  decodePayload,
  encodePayload,
  MAX_PAYLOAD_BYTES,
  type ShareContent,
} from "../../src/protocol/payload.ts";
import { refusal, unlessRefused } from "./refusal.ts";
import { fileOfEncodedLength, smallContent } from "./share-contents.ts";
import { bytes, number, tag, varint } from "./wire.ts";

const MALFORMED = "the share's content is malformed";
const UNKNOWN_KIND = "the share's content is of a kind that this version does not know";

describe("content that is refused", () => {
  it.each<[string, ShareContent]>([
    ["text", { kind: "text", text: "a\ud800b" }],
    ["a secret's name", { kind: "secret", name: "\udc00", fields: [] }],
    ["a field's name", { kind: "secret", name: "", fields: [{ name: "\ud83d", value: "" }] }],
    ["a field's value", { kind: "secret", name: "", fields: [{ name: "", value: "\ude00\ud83d" }] }],
    ["a file's name", { kind: "file", name: "\udfff", mediaType: "", content: new Uint8Array() }],
    ["a file's media type", { kind: "file", name: "", mediaType: "\ud800", content: new Uint8Array() }],
  ])("has a lone surrogate in %s, which UTF-8 would replace", (_, content) => {
    expect(refusal(() => encodePayload(content))).toMatchObject({
      reason: "PAYLOAD_INVALID",
      field: "payload",
    });
  });

  it("is a byte longer than a share holds", () => {
    const longest = fileOfEncodedLength(MAX_PAYLOAD_BYTES, encodePayload);
    expect(encodePayload(longest)).toHaveLength(MAX_PAYLOAD_BYTES);
    if (longest.kind !== "file") throw new Error("not a file");
    const error = refusal(() =>
      encodePayload({ ...longest, content: concat(longest.content, Uint8Array.of(0)) }),
    );
    expect(error).toMatchObject({
      reason: "PAYLOAD_TOO_LARGE",
      field: "payload",
      message: `content is ${MAX_PAYLOAD_BYTES + 1} bytes when encoded; a share holds at most ${MAX_PAYLOAD_BYTES}`,
    });
  });
});

describe("a payload that is refused", () => {
  it.each([
    ["nothing", new Uint8Array(), UNKNOWN_KIND],
    ["a kind that is not known", bytes(4, "from the future"), UNKNOWN_KIND],
    ["a kind of another wire type", number(9, 1), UNKNOWN_KIND],
    ["text that is not UTF-8", bytes(2, bytes(1, Uint8Array.of(0xff))), MALFORMED],
    ["a file name that is not UTF-8", bytes(3, bytes(1, Uint8Array.of(0xc3))), MALFORMED],
    ["a length beyond its end", concat(tag(2, 2), varint(50), bytes(1, "short")), MALFORMED],
    ["zeros", new Uint8Array(12), MALFORMED],
  ])("is %s", (_, encoded, message) => {
    expect(refusal(() => decodePayload(encoded))).toMatchObject({ reason: "PAYLOAD_INVALID", message });
  });

  it("does not appear in the error, which may be logged", () => {
    const error = refusal(() =>
      decodePayload(bytes(2, bytes(1, Uint8Array.of(0x68, 0x75, 0x6e, 0x74, 0xff)))),
    );
    expect(error.cause).toBeUndefined();
    expect(`${error.message} ${error.stack}`).not.toContain("hunt");
  });

  it("is any that is no protobuf message, with a protocol error and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (encoded) => {
        unlessRefused(() => decodePayload(encoded));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a payload", () => {
  it("gives back what was put in, letter by letter and byte by byte", () => {
    fc.assert(
      fc.property(smallContent, (content) => {
        expect(decodePayload(encodePayload(content))).toEqual(content);
      }),
      { numRuns: 500 },
    );
  });

  it("has the field numbers of the contract", () => {
    expect(encodePayload({ kind: "text", text: "hello" })).toEqual(bytes(2, bytes(1, "hello")));
    expect(
      encodePayload({
        kind: "secret",
        name: "db",
        fields: [
          { name: "USER", value: "root" },
          { name: "", value: "" },
        ],
      }),
    ).toEqual(
      bytes(1, concat(bytes(1, "db"), bytes(2, concat(bytes(1, "USER"), bytes(2, "root"))), bytes(2, ""))),
    );
    expect(
      encodePayload({ kind: "file", name: "a.txt", mediaType: "text/plain", content: Uint8Array.of(1) }),
    ).toEqual(bytes(3, concat(bytes(1, "a.txt"), bytes(2, "text/plain"), bytes(3, Uint8Array.of(1)))));
  });

  it("is read over fields that a later version added", () => {
    const value = create(TextItemSchema, { text: "hello" });
    const encoded = toBinary(
      SharePayloadSchema,
      create(SharePayloadSchema, { content: { case: "text", value } }),
    );
    expect(decodePayload(concat(encoded, number(50, 1)))).toEqual({ kind: "text", text: "hello" });
  });
});
