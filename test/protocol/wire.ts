// Protobuf's wire format by hand (https://protobuf.dev/programming-guides/encoding/), for encodings that no library makes:
// what a hostile or careless sender could write instead of the canonical one.

import { concat, utf8 } from "../../src/crypto/bytes.ts";

/** A varint; `padding` appends that many needless bytes, which protobuf lets pass and this protocol does not. */
export function varint(value: number | bigint, padding = 0): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  } while (rest > 0n);
  for (let i = 0; i < padding; i++) bytes.push(0x80);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) & 0x7f;
  return Uint8Array.from(bytes);
}

/** Tag of a field with a wire type: 0 varint, 1 eight bytes, 2 length-delimited, 3 and 4 group, 5 four bytes. */
export function tag(field: number, wireType: number): Uint8Array {
  return varint(BigInt(field) * 8n + BigInt(wireType));
}

/** A field of type uint32, uint64 or bool. */
export function number(field: number, value: number | bigint): Uint8Array {
  return concat(tag(field, 0), varint(value));
}

/** A field of type bytes, string or message. */
export function bytes(field: number, value: Uint8Array | string): Uint8Array {
  const content = typeof value === "string" ? utf8(value) : value;
  return concat(tag(field, 2), varint(content.length), content);
}
