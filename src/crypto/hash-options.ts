/** How large inputs are hashed: what a caller may choose, checked. */

import { requireRange } from "./errors.ts";
import { BLAKE3_LENGTH, BLAKE3_MAX_LENGTH } from "./primitives.ts";
import { availableThreads } from "./threads.ts";

/** How a stream or a file is hashed. */
export interface HashOptions {
  /**
   * Threads to hash on, this one among them; as many as the machine runs at once, but no more than 3, unless given. While
   * the others have enough to do this one hashes too.
   */
  threads?: number;
  /** Bytes of output, 1 to 1,024; 32 unless given. */
  length?: number;
  /** Stops it; it then throws the signal's reason. */
  signal?: AbortSignal;
  /** Called now and then with the number of bytes taken so far. */
  onProgress?: (bytes: number) => void;
}

const MAX_THREADS = 3; // unless more are asked for: each takes some ten megabytes
const MOST_THREADS = 64;

/** The threads and the output length that are asked for. @throws CryptoError `out-of-range` */
export function checkHashOptions(options: HashOptions): { threads: number; length: number } {
  const { threads = Math.min(availableThreads(), MAX_THREADS), length = BLAKE3_LENGTH } = options;
  requireRange("blake3 output length", length, 1, BLAKE3_MAX_LENGTH);
  requireRange("threads", threads, 1, MOST_THREADS);
  return { threads, length };
}
