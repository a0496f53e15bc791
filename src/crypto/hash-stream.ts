/**
 * BLAKE3 of a stream, on several threads: it is cut into subtrees of a mebibyte, which threads hash while the next ones are
 * read, and the chaining values are joined. Memory holds a few subtrees, however long the stream is.
 */

import { type ByteSource, piecesOf, readerOf } from "./byte-source.ts";
import { createHashCrew, SUBTREE_LENGTH, type Subtree } from "./hash-crew.ts";
import { checkHashOptions, type HashOptions } from "./hash-options.ts";
import { chosenKernel, primitives } from "./select.ts";

/** Pieces in which one thread alone reads what is read by filling buffers. */
const PIECE_LENGTH = 1024 * 1024;

/**
 * The hash of all that a source gives. When it is stopped, the stream is cancelled.
 *
 * @throws CryptoError `out-of-range` for a length or number of threads beyond the limits; what the source throws; the
 * signal's reason.
 */
export async function hashStream(source: ByteSource, options: HashOptions = {}): Promise<Uint8Array> {
  const { threads, length } = checkHashOptions(options);
  const kernel = chosenKernel();
  if (threads === 1 || kernel === null) return hashHere(source, length, options);
  return hashOnThreads(kernel, source, length, threads, options);
}

async function hashHere(
  source: ByteSource,
  length: number,
  { signal, onProgress }: HashOptions,
): Promise<Uint8Array> {
  const hasher = primitives().blake3.hasher();
  let bytes = 0;
  signal?.throwIfAborted();
  const pieces = piecesOf(source, PIECE_LENGTH);
  try {
    for (let piece = await pieces.next(); piece !== null; piece = await pieces.next()) {
      signal?.throwIfAborted();
      hasher.update(piece);
      bytes += piece.length;
      onProgress?.(bytes);
    }
  } finally {
    await pieces.close();
  }
  signal?.throwIfAborted();
  return hasher.digest(length);
}

async function hashOnThreads(
  module: WebAssembly.Module,
  source: ByteSource,
  length: number,
  threads: number,
  { signal, onProgress }: HashOptions,
): Promise<Uint8Array> {
  signal?.throwIfAborted();
  const crew = createHashCrew(module, threads);
  const reader = readerOf(source);
  const spare: ArrayBuffer[] = [];
  const buffer = () => new Uint8Array(spare.pop() ?? new ArrayBuffer(SUBTREE_LENGTH));
  let bytes = 0;
  const fill = async (buffer: Uint8Array) => {
    let filled = 0;
    while (filled < buffer.length) {
      const read = await reader.readInto(buffer.subarray(filled));
      signal?.throwIfAborted();
      if (read === 0) break;
      filled += read;
      bytes += read;
      onProgress?.(bytes);
    }
    return filled;
  };
  try {
    let current = buffer();
    let filled = await fill(current);
    // A subtree is hashed when there is more behind it: the only one of a source would be its root.
    while (filled === SUBTREE_LENGTH) {
      const next = buffer();
      const more = await fill(next);
      if (more === 0 && crew.count() === 0) break;
      await crew.hash(subtreeIn(current, filled, spare));
      [current, filled] = [next, more];
    }
    if (crew.count() === 0) return primitives().blake3.hash(current.subarray(0, filled), length);
    if (filled > 0) await crew.hash(subtreeIn(current, filled, spare));
    return await crew.digest(length);
  } finally {
    await crew.close();
    await reader.close();
  }
}

/** The subtree in the first `length` bytes of a buffer, which is spare once it is hashed. */
function subtreeIn(data: Uint8Array<ArrayBuffer>, length: number, spare: ArrayBuffer[]): Subtree {
  return {
    async onThread(thread, base) {
      const { chainingValue, buffer } = await thread.subtree(data.buffer, length, base);
      spare.push(buffer);
      return chainingValue;
    },
    here(join, base) {
      const chainingValue = join.subtree(data.subarray(0, length), base);
      spare.push(data.buffer);
      return chainingValue;
    },
  };
}
