import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { randomBytes } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { hashStream } from "../../src/crypto/hash-stream.ts";
import { wasm } from "./tiers.ts";

const SLOW = 120_000;
const MIB = 1024 * 1024;
const pattern = randomBytes(MIB + 3);

/** `length` bytes in pieces of `size`. */
async function* pieces(length: number, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < length; offset += size) {
    const at = (7 * offset) % MIB;
    yield pattern.subarray(at, at + Math.min(size, length - offset, pattern.length - at));
    const short = at + Math.min(size, length - offset) - pattern.length;
    if (short > 0) yield pattern.subarray(0, short);
  }
}

function webStream(length: number): ReadableStream<Uint8Array> {
  return Readable.toWeb(Readable.from(pieces(length))) as ReadableStream<Uint8Array>;
}

/** What the pieces hash to on one plain hasher. */
async function plainHash(length: number, size?: number, outLength?: number): Promise<Uint8Array> {
  const hasher = wasm.blake3.hasher();
  for await (const piece of pieces(length, size)) hasher.update(piece);
  return hasher.digest(outLength);
}

describe("hashing a stream on several threads", () => {
  test.each([
    0,
    1,
    1024,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB,
    16 * MIB,
    17 * MIB,
    18 * MIB + 1,
    41 * MIB + 12_345,
  ])(
    "gives the plain hash of %d bytes",
    async (length) => {
      const expected = await plainHash(length);
      for (const threads of [1, 2, 3])
        expect(await hashStream(pieces(length), { threads })).toEqual(expected);
    },
    SLOW,
  );

  test(
    "gives it for pieces of any size, and output of any length",
    async () => {
      for (const size of [1000, 99_991, 3 * MIB]) {
        const expected = await plainHash(30 * MIB, size, 99);
        expect(await hashStream(pieces(30 * MIB, size), { threads: 3, length: 99 })).toEqual(expected);
      }
    },
    SLOW,
  );

  test("takes web streams, and readers that fill buffers", async () => {
    const length = 20 * MIB + 17;
    const expected = await plainHash(length);
    for (const threads of [1, 2]) {
      expect(await hashStream(webStream(length), { threads })).toEqual(expected);
    }
    const folder = await mkdtemp(join(tmpdir(), "keypears-hash-"));
    try {
      await writeFile(join(folder, "file"), pieces(length));
      for (const threads of [1, 2]) {
        const file = await open(join(folder, "file"));
        const readInto = async (buffer: Uint8Array) => (await file.read(buffer)).bytesRead;
        expect(await hashStream({ readInto }, { threads })).toEqual(expected);
        await file.close();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 60_000);

  test("hashes several streams at a time", async () => {
    const lengths = [25 * MIB, 20 * MIB + 1, 30 * MIB - 1];
    const hashes = await Promise.all(lengths.map((length) => hashStream(pieces(length), { threads: 2 })));
    expect(hashes).toEqual(await Promise.all(lengths.map((length) => plainHash(length))));
  }, 60_000);

  test("tells how far it is", async () => {
    const seen: number[] = [];
    await hashStream(pieces(20 * MIB), { threads: 2, onProgress: (bytes) => seen.push(bytes) });
    expect(seen.at(-1)).toBe(20 * MIB);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

describe.each([1, 2])("a stream hashed on %d threads", (threads) => {
  test("that fails makes hashing fail with its error", async () => {
    async function* failing() {
      yield* pieces(20 * MIB);
      throw new Error("the disk is gone");
    }
    await expect(hashStream(failing(), { threads })).rejects.toThrow("the disk is gone");
  });

  test("is given up when the signal says so, and told to stop", async () => {
    const controller = new AbortController();
    let stopped = false;
    async function* endless() {
      try {
        for (;;) {
          yield pattern;
          await new Promise(setImmediate);
        }
      } finally {
        stopped = true;
      }
    }
    const hashing = hashStream(endless(), {
      threads,
      signal: controller.signal,
      onProgress: (bytes) => {
        if (bytes > 20 * MIB) controller.abort(new Error("enough"));
      },
    });
    await expect(hashing).rejects.toThrow("enough");
    expect(stopped).toBe(true);
  });

  test("is not begun when the signal said so before, nor with a length or threads out of range", async () => {
    const signal = AbortSignal.abort(new Error("never mind"));
    await expect(hashStream(pieces(10), { threads, signal })).rejects.toThrow("never mind");
    await expect(hashStream(pieces(10), { threads, length: 1025 })).rejects.toBeInstanceOf(CryptoError);
    await expect(hashStream(pieces(10), { threads: 0 })).rejects.toBeInstanceOf(CryptoError);
  });
});
