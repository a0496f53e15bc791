/** A large input to hash on several threads: a file where there are files, else what is in memory, as a stream. */

import { hashFile } from "../src/crypto/hash-file.ts";
import { hashStream } from "../src/crypto/hash-stream.ts";

/** An input that can be hashed again and again, until it is disposed of. */
export interface LargeInput extends AsyncDisposable {
  /** What is measured, as the name of an operation. */
  readonly op: string;
  hash(threads: number): Promise<unknown>;
}

/** Makes an input of a number of whole pieces. The system has a file in memory, so that no disk is measured. */
export async function largeInput(piece: Uint8Array, pieces: number): Promise<LargeInput> {
  const files = globalThis.process?.getBuiltinModule?.("node:fs/promises");
  return files === undefined ? largeStream(piece, pieces) : largeFile(files, piece, pieces);
}

async function largeFile(
  { mkdtemp, open, rm }: typeof import("node:fs/promises"),
  piece: Uint8Array,
  pieces: number,
): Promise<LargeInput> {
  const { tmpdir } = process.getBuiltinModule("node:os");
  const folder = await mkdtemp(`${tmpdir()}/keypears-bench-`);
  const file = await open(`${folder}/large`, "w+");
  for (let i = 0; i < pieces; i++) await file.write(piece);
  return {
    op: "blake3-file",
    hash: (threads) => hashFile(file.fd, { threads }),
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(folder, { recursive: true });
    },
  };
}

function largeStream(piece: Uint8Array, pieces: number): LargeInput {
  async function* stream() {
    for (let i = 0; i < pieces; i++) yield piece;
  }
  return {
    op: "blake3-stream",
    hash: (threads) => hashStream(stream(), { threads }),
    async [Symbol.asyncDispose]() {},
  };
}
