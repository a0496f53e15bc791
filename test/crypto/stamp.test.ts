import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, lp, randomBytes, toHex, u64 } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { mineStamp, stampKey, verifyStamp } from "../../src/crypto/stamp.ts";
import { searchStamp } from "../../src/crypto/stamp-search.ts";
import { js } from "./tiers.ts";

const work = (key: Uint8Array, nonce: bigint) => BigInt(`0x${toHex(js.blake3.keyed(key, u64(nonce)))}`);
const wordsOf = (key: Uint8Array) => {
  const view = new DataView(key.buffer, key.byteOffset, 32);
  return Uint32Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i, true));
};
const U32 = fc.integer({ min: 0, max: 0xffff_ffff });

describe("verifying", () => {
  test.each([0, -1, 0.5, 2 ** 28 + 1, Number.NaN, Number.POSITIVE_INFINITY])(
    "a difficulty of %d is refused",
    async (difficulty) => {
      expect(() => verifyStamp(randomBytes(32), 0n, difficulty)).toThrow(CryptoError);
      await expect(mineStamp(randomBytes(32), difficulty)).rejects.toBeInstanceOf(CryptoError);
    },
  );

  test.each([-1n, 2n ** 64n])("a nonce of %s is no stamp", (nonce) => {
    expect(verifyStamp(randomBytes(32), nonce, 1)).toBe(false);
  });

  test("the comparison is exact: below the target and not at it", () => {
    const key = randomBytes(32);
    const nonces = Array.from({ length: 2000 }, (_, i) => BigInt(i));
    for (const nonce of nonces) {
      const value = work(key, nonce);
      const difficulty = Number(2n ** 256n / (value + 1n)); // the greatest that this work is worth
      if (difficulty < 1 || difficulty >= 2 ** 28) continue;
      expect(verifyStamp(key, nonce, difficulty)).toBe(value < 2n ** 256n / BigInt(difficulty));
      expect(verifyStamp(key, nonce, difficulty + 1)).toBe(value < 2n ** 256n / BigInt(difficulty + 1));
      expect(verifyStamp(key, nonce, 1)).toBe(true);
    }
  });

  test("a key is bound to id and address as the protocol derives it", () => {
    const id = randomBytes(32);
    const key = stampKey(id, "bob@partner.test");
    expect(key).toEqual(js.blake3.deriveKey("keypears v1 stamp", concat(id, lp("bob@partner.test"))));
    expect(() => stampKey(id.subarray(1), "bob@partner.test")).toThrow(CryptoError);
  });
});

describe("the search", () => {
  test("computes the first word of the keyed hash, for any key and nonce", () => {
    const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(key32, U32, U32, (key, high, low) => {
        const first = Number(work(key, (BigInt(high) << 32n) | BigInt(low)) >> 224n);
        expect(searchStamp(wordsOf(key), high, low, 1, first)).toBe(low);
        if (first > 0) expect(searchStamp(wordsOf(key), high, low, 1, first - 1)).toBe(-1);
      }),
      { numRuns: 500 },
    );
  });

  test("finds the first candidate of a range, up to the last nonce of 32 bits", () => {
    const key = randomBytes(32);
    const limit = 0x0100_0000;
    const start = 0xffff_ffff - 2000;
    const expected = Array.from({ length: 2001 }, (_, i) => start + i).find(
      (low) => Number(work(key, BigInt(low)) >> 224n) <= limit,
    );
    expect(searchStamp(wordsOf(key), 0, start, 2001, limit)).toBe(expected ?? -1);
    expect(searchStamp(wordsOf(key), 0, 0, 0, 0xffff_ffff)).toBe(-1);
  });
});

describe("mining", () => {
  test("finds the first nonce that is worth the difficulty", async () => {
    const key = randomBytes(32);
    for (const difficulty of [1, 2, 3, 1000]) {
      const nonce = await mineStamp(key, difficulty);
      expect(verifyStamp(key, nonce, difficulty)).toBe(true);
      for (let n = 0n; n < nonce; n++) expect(verifyStamp(key, n, difficulty)).toBe(false);
    }
  });

  test("lets the event loop run meanwhile, reports how far it is, and stops when told to", async () => {
    const controller = new AbortController();
    const reports: number[] = [];
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 3) controller.abort(new Error("no more"));
    }, 1);
    try {
      // Nobody finds a stamp of the greatest difficulty in the time that three ticks of a timer take.
      const mining = mineStamp(randomBytes(32), 2 ** 28, {
        signal: controller.signal,
        onProgress: ({ tries, expected }) => {
          reports.push(tries);
          expect(expected).toBe(2 ** 28);
        },
      });
      await expect(mining).rejects.toThrow("no more");
    } finally {
      clearInterval(timer);
    }
    expect(reports.length).toBeGreaterThan(0);
    expect(reports).toEqual([...reports].sort((a, b) => a - b));
  }, 60_000);

  test("does not begin when it is told to stop before", async () => {
    const mining = mineStamp(randomBytes(32), 1, { signal: AbortSignal.abort(new Error("never mind")) });
    await expect(mining).rejects.toThrow("never mind");
  });
});
