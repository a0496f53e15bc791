import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, lp, randomBytes, toHex, u64 } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { mineStamp, stampKey, verifyStamp } from "../../src/crypto/stamp.ts";
import { searchStamp } from "../../src/crypto/stamp-search.ts";
import { compileKernel, instantiateKernel } from "../../src/crypto/wasm/kernel.ts";
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

describe("the kernel's search", () => {
  const kernel = instantiateKernel(compileKernel() as WebAssembly.Module);

  test("computes the first word of the keyed hash on each of its four lanes, for any key and nonce", () => {
    const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const start32 = fc.integer({ min: 0, max: 0xffff_fffc });
    fc.assert(
      fc.property(key32, U32, start32, (key, high, start) => {
        kernel.key.set(key);
        const firsts = [0, 1, 2, 3].map((i) =>
          Number(work(key, (BigInt(high) << 32n) | BigInt(start + i)) >> 224n),
        );
        for (const limit of firsts) {
          const expected = firsts.findIndex((first) => first <= limit);
          expect(kernel.searchStamp(high, start, 1, limit)).toBe(start + expected);
        }
        const least = Math.min(...firsts);
        if (least > 0) expect(kernel.searchStamp(high, start, 1, least - 1)).toBe(-1);
      }),
      { numRuns: 500 },
    );
  });

  test("finds what the search in JavaScript finds", () => {
    const key = randomBytes(32);
    kernel.key.set(key);
    for (const limit of [0x0010_0000, 0x0100_0000, 0x1000_0000]) {
      expect(kernel.searchStamp(7, 40, 1000, limit)).toBe(searchStamp(wordsOf(key), 7, 40, 4000, limit));
    }
    expect(kernel.searchStamp(0, 0, 0, 0xffff_ffff)).toBe(-1);
  });
});

describe("mining", () => {
  test("on several threads finds a nonce that is worth the difficulty", async () => {
    const key = randomBytes(32);
    for (const difficulty of [1, 3, 100_000, 2 ** 21]) {
      const nonce = await mineStamp(key, difficulty, { threads: 2 });
      expect(verifyStamp(key, nonce, difficulty)).toBe(true);
    }
  }, 120_000);

  test("finds the first nonce that is worth the difficulty", async () => {
    const key = randomBytes(32);
    for (const difficulty of [1, 2, 3, 1000]) {
      const nonce = await mineStamp(key, difficulty);
      expect(verifyStamp(key, nonce, difficulty)).toBe(true);
      for (let n = 0n; n < nonce; n++) expect(verifyStamp(key, n, difficulty)).toBe(false);
    }
  });

  test.each([1, 2])(
    "on %d threads lets the event loop run, reports how far it is, and stops when told to",
    async (threads) => {
      const controller = new AbortController();
      const reports: number[] = [];
      let ticks = 0;
      const timer = setInterval(() => {
        if (++ticks >= 3 && reports.length > 0) controller.abort(new Error("no more"));
      }, 1);
      try {
        // Nobody finds a stamp of the greatest difficulty in the time that three ticks and a report take.
        const mining = mineStamp(randomBytes(32), 2 ** 28, {
          threads,
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
    },
    60_000,
  );

  test("does not begin when it is told to stop before", async () => {
    for (const threads of [1, 2]) {
      const signal = AbortSignal.abort(new Error("never mind"));
      await expect(mineStamp(randomBytes(32), 1, { signal, threads })).rejects.toThrow("never mind");
    }
  });
});
