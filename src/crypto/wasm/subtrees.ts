/**
 * BLAKE3 of an input whose subtrees are hashed elsewhere, on other threads: here their chaining values are joined
 * (specification section 5.3).
 */

import { BLAKE3_LENGTH } from "../primitives.ts";
import { hashWhole, takeOutput } from "./blake3.ts";
import { CHUNK_LENGTH, CV_LENGTH, HASH, INPUT_CHUNKS, INPUT_LENGTH, instantiateKernel } from "./kernel.ts";

/** Hashes subtrees here, and joins those that come from anywhere. */
export interface SubtreeJoin {
  /**
   * The chaining value, 32 bytes, of the subtree that begins at chunk `base` of the input: whole (a power of two of
   * chunks, beginning at a multiple of that) or the input's last.
   */
  subtree(data: Uint8Array, base: number): Uint8Array;
  /**
   * The same of `length` bytes that are read straight into the kernel's input: `read` fills a buffer from its start with
   * what lies at an offset of the subtree, in part at least, and says how many bytes it put there.
   */
  subtreeFrom(read: (buffer: Uint8Array, offset: number) => number, length: number, base: number): Uint8Array;
  /** Takes the chaining value of the next subtree. All but the last have the same size. */
  add(chainingValue: Uint8Array): void;
  /** The hash of the input, of which two subtrees at least were added. Ends the join. */
  digest(length?: number): Uint8Array;
}

/** Begins to join subtrees of `subtreeLength` bytes, a power of two of chunks. */
export function joinSubtrees(module: WebAssembly.Module, subtreeLength: number): SubtreeJoin {
  const [hashing, joining] = [instantiateKernel(module), instantiateKernel(module)];
  const chunks = subtreeLength / CHUNK_LENGTH;
  let [index, depth] = [0, 0];
  return {
    subtree: (data, base) => hashWhole(hashing, HASH, data, 0, base),
    subtreeFrom(read, length, base) {
      const { input } = hashing;
      let [done, depth] = [0, 0];
      try {
        for (;;) {
          const piece = Math.min(INPUT_LENGTH, length - done);
          for (let filled = 0; filled < piece; ) {
            filled += read(input.subarray(filled, piece), done + filled);
          }
          const index = done / CHUNK_LENGTH;
          done += piece;
          if (done === length) {
            input.fill(0, piece); // left of the piece before
            hashing.finish(piece, HASH, index, base, depth, 0);
            return takeOutput(hashing, 0);
          }
          depth = hashing.absorb(INPUT_CHUNKS, HASH, index, base, depth);
        }
      } finally {
        input.fill(0);
      }
    },
    add(chainingValue) {
      joining.out.set(chainingValue.subarray(0, CV_LENGTH));
      depth = joining.graft(HASH, index, depth);
      index += chunks;
    },
    digest(length = BLAKE3_LENGTH) {
      joining.finish(0, HASH, index, 0, depth, length);
      return takeOutput(joining, length);
    },
  };
}
