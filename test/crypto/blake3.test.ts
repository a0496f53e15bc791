import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex, utf8 } from "../../src/crypto/bytes.ts";
import { describeVectors } from "./shared-vectors.ts";
import { hashTiers } from "./tiers.ts";

interface Blake3Vectors {
  key: string;
  context_string: string;
  cases: ReadonlyArray<{ input_len: number; hash: string; keyed_hash: string; derive_key: string }>;
}

const input = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);

describe.each(hashTiers)("the %s tier and BLAKE3's published vectors", (_, { blake3 }) => {
  describeVectors<Blake3Vectors>("blake3.json", ({ key, context_string: context, cases }) => {
    test.each(cases)("input of $input_len bytes, in all three modes and in pieces", (c) => {
      const data = input(c.input_len);
      for (const length of [32, 131]) {
        const start = (hex: string) => hex.slice(0, 2 * length);
        expect(toHex(blake3.hash(data, length))).toBe(start(c.hash));
        expect(toHex(blake3.keyed(utf8(key), data, length))).toBe(start(c.keyed_hash));
        expect(toHex(blake3.deriveKey(context, data, length))).toBe(start(c.derive_key));
        const cut = Math.floor(data.length / 3);
        const hasher = blake3.hasher().update(data.subarray(0, cut)).update(data.subarray(cut));
        expect(toHex(hasher.digest(length))).toBe(start(c.hash));
      }
    });
  });
});

describe.each(hashTiers)("hashers of the %s tier", (_, { blake3 }) => {
  test("are independent of each other and of whole hashes, in whatever order their pieces come", () => {
    const piece = fc.tuple(fc.nat({ max: 3 }), fc.uint8Array({ maxLength: 3000, size: "max" }));
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.constantFrom(1, 31, 32, 33, 64, 1024),
        (pieces, length) => {
          const hashers = [0, 1, 2, 3].map(() => ({ hasher: blake3.hasher(), seen: new Uint8Array(0) }));
          for (const [index, data] of pieces) {
            const one = hashers[index] as (typeof hashers)[number];
            one.hasher.update(data);
            one.seen = concat(one.seen, data);
            blake3.hash(data);
          }
          for (const { hasher, seen } of hashers) {
            expect(hasher.digest(length)).toEqual(blake3.hash(seen, length));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("give a digest that later hashing does not change", () => {
    const digest = blake3.hash(input(10));
    const copy = digest.slice();
    blake3.hash(input(11));
    blake3.hasher().update(input(12)).digest();
    expect(digest).toEqual(copy);
  });
});
