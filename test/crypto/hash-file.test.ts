import { ftruncateSync } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concat, randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { hashFile } from "../../src/crypto/hash-file.ts";
import { wasm } from "./tiers.ts";

const MIB = 1024 * 1024;
const piece = randomBytes(MIB);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keypears-hash-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file of `length` bytes, and what they hash to on one plain hasher. */
async function fileOf(length: number): Promise<{ file: FileHandle; expected: Uint8Array }> {
  const file = await open(join(folder, toHex(randomBytes(8))), "w+");
  const hasher = wasm.blake3.hasher();
  for (let left = length; left > 0; left -= MIB) {
    const part = piece.subarray(0, Math.min(left, MIB));
    await file.write(part);
    hasher.update(part);
  }
  return { file, expected: hasher.digest() };
}

describe.each([1, 2, 3])("a file hashed on %d threads", (threads) => {
  test("that cannot be read makes hashing fail with the system's error", async () => {
    const { file } = await fileOf(20 * MIB);
    await file.close();
    const unreadable = await open(join(folder, "write-only"), "w");
    await unreadable.write(concat(piece, piece));
    await expect(hashFile(unreadable.fd, { threads })).rejects.toMatchObject({ code: "EBADF" });
    await unreadable.close();
  });

  test("that becomes shorter meanwhile has no hash", async () => {
    const { file } = await fileOf(60 * MIB);
    const hashing = hashFile(file.fd, {
      threads,
      onProgress: (bytes) => {
        if (bytes === 20 * MIB) ftruncateSync(file.fd, 40 * MIB);
      },
    });
    await expect(hashing).rejects.toThrow("became shorter");
    await file.close();
  });

  test("is given up when the signal says so, and not begun when it said so before", async () => {
    const { file } = await fileOf(40 * MIB);
    const controller = new AbortController();
    const stop = (bytes: number) => {
      if (bytes >= 20 * MIB) controller.abort(new Error("enough"));
    };
    const { signal } = controller;
    await expect(hashFile(file.fd, { threads, signal, onProgress: stop })).rejects.toThrow("enough");
    await expect(hashFile(file.fd, { threads, signal })).rejects.toThrow("enough");
    await file.close();
  });

  test.each([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 17 * MIB, 40 * MIB + 12_345])(
    "has the plain hash of its %d bytes, wherever it was read to before",
    async (length) => {
      const { file, expected } = await fileOf(length);
      const progress: number[] = [];
      const onProgress = (bytes: number) => progress.push(bytes);
      expect(await hashFile(file.fd, { threads, onProgress })).toEqual(expected);
      expect(progress.at(-1) ?? 0).toBe(length);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      await file.close();
    },
    60_000,
  );
});

test("What is appended while a file is hashed is left out", async () => {
  const { file, expected } = await fileOf(30 * MIB);
  let appended: Promise<unknown> | undefined;
  const onProgress = () => {
    appended ??= file.appendFile(piece);
  };
  expect(await hashFile(file.fd, { threads: 2, onProgress })).toEqual(expected);
  await appended;
  await file.close();
});

test("A file is not hashed with a length or threads out of range", async () => {
  const { file } = await fileOf(10);
  await expect(hashFile(file.fd, { length: 1025 })).rejects.toBeInstanceOf(CryptoError);
  await expect(hashFile(file.fd, { threads: 65 })).rejects.toBeInstanceOf(CryptoError);
  await file.close();
});
