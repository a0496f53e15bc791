// Contents of shares for property tests: every kind, with the letters that encoders are known to lose.

import fc from "fast-check";
import type { ShareContent } from "../../src/protocol/payload.ts";

/** Well-formed text of at most `maxLength` characters, with byte order marks, controls, newlines and emoji in it. */
export function textOf(maxLength: number): fc.Arbitrary<string> {
  return fc.string({
    unit: fc.oneof(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
      fc.constantFrom("\u0000", "\ufeff", "\ufffd", "\r\n", "é", "e\u0301", "\u{10ffff}", "€", "="),
    ),
    maxLength,
  });
}

/** Any content whose texts and bytes are small. */
export const smallContent: fc.Arbitrary<ShareContent> = fc.oneof(
  fc.record({ kind: fc.constant("text" as const), text: textOf(60) }),
  fc.record({
    kind: fc.constant("secret" as const),
    name: textOf(10),
    fields: fc.array(fc.record({ name: textOf(8), value: textOf(20) }), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant("file" as const),
    name: textOf(12),
    mediaType: fc.constantFrom("", "text/plain", "application/octet-stream"),
    content: fc.uint8Array({ maxLength: 900 }),
  }),
);

/** A file whose encoded payload is exactly so many bytes long. */
export function fileOfEncodedLength(
  length: number,
  encode: (content: ShareContent) => Uint8Array,
): ShareContent {
  const file = (size: number): ShareContent => ({
    kind: "file",
    name: "f",
    mediaType: "",
    content: new Uint8Array(size).fill(0x5a),
  });
  // Lengths in front of the content grow with it, by a few bytes in all.
  for (let size = Math.max(0, length - 12); size <= length; size++) {
    if (encode(file(size)).length === length) return file(size);
  }
  throw new Error(`no file is ${length} bytes when encoded`);
}
