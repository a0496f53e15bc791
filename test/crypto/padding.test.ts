import fc from "fast-check";
import { expect, test } from "vitest";
import { concat } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { pad, paddedLength, unpad } from "../../src/crypto/padding.ts";

test.each([
  ["nothing at all", new Uint8Array(0)],
  ["only zeros", new Uint8Array(512)],
  ["no marker behind the payload", new Uint8Array(512).fill(1)],
  ["another last byte than marker or zero", concat(pad(Uint8Array.of(1)).subarray(0, 511), Uint8Array.of(1))],
  ["too short", concat(Uint8Array.of(1, 0x80), new Uint8Array(509))],
  ["one zero too many", concat(pad(Uint8Array.of(1)), Uint8Array.of(0))],
  ["a length that a payload of that size never has", concat(Uint8Array.of(1, 0x80), new Uint8Array(542))],
])("padding that is %s is refused", (_, padded) => {
  expect(() => unpad(padded)).toThrow(CryptoError);
});

test("padded lengths are Padmé's, and 512 bytes at least", () => {
  expect([0, 1, 510, 511].map(paddedLength)).toEqual([512, 512, 512, 512]);
  // E = 9, S = 4: multiples of 32. E = 10, S = 4: of 64. E = 17, S = 5: of 4,096.
  expect([512, 543, 544, 1023, 1024].map(paddedLength)).toEqual([544, 544, 576, 1024, 1088]);
  expect([131_072, 240 * 1024].map(paddedLength)).toEqual([135_168, 249_856]);
});

test("every payload comes back, and padding never costs more than an eighth beyond the minimum", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000, size: "max" }), (payload) => {
      const padded = pad(payload);
      expect(unpad(padded)).toEqual(payload);
      expect(padded.length).toBeGreaterThan(payload.length);
      if (payload.length >= 512) expect(padded.length).toBeLessThanOrEqual((payload.length + 1) * 1.125);
    }),
  );
});

test("payloads that end in a marker and zeros come back whole", () => {
  for (const payload of [
    Uint8Array.of(0x80),
    Uint8Array.of(0x80, 0, 0),
    new Uint8Array(511),
    Uint8Array.of(0, 0x80, 0x80),
  ]) {
    expect(unpad(pad(payload))).toEqual(payload);
  }
});

test("bytes are unpadded only if padding their payload gives them back", () => {
  const tail = fc
    .uint8Array({ minLength: 4, maxLength: 4 })
    .map((b) => b.map((x) => (x % 3 === 0 ? 0 : 0x80)));
  fc.assert(
    fc.property(fc.constantFrom(508, 540, 541, 572), tail, (length, end) => {
      const padded = concat(new Uint8Array(length).fill(1), end);
      let payload: Uint8Array;
      try {
        payload = unpad(padded);
      } catch (error) {
        expect(error).toBeInstanceOf(CryptoError);
        return;
      }
      expect(pad(payload)).toEqual(padded);
    }),
  );
});
