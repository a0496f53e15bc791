/**
 * The search for a stamp on several threads, four nonces at a time on each (kernel/stamp.as). The threads are handed
 * consecutive ranges of nonces, each about as much as takes a twentieth of a second, so that progress is seen and a stamp
 * that is found ends the search at once.
 */

import type { MineOptions } from "./stamp.ts";
import { borrowKernelThreads, type KernelThread, releaseKernelThreads } from "./wasm/kernel-thread.ts";

const U32_SPACE = 2 ** 32;
const FIRST_RANGE = 2 ** 18;
const RANGE_MS = 50;

/** What is searched for. */
export interface StampSearch {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly difficulty: number;
  /** The greatest first word, big-endian, that a stamp of this difficulty has. */
  readonly limit: number;
  /** Whether a nonce whose hash has such a first word is a stamp. */
  readonly isStamp: (nonce: bigint) => boolean;
}

/**
 * Searches on `count` threads until a stamp is found; null where no thread can be started.
 *
 * @throws the signal's reason when it is aborted.
 */
export async function mineOnThreads(
  module: WebAssembly.Module,
  count: number,
  search: StampSearch,
  { signal, onProgress }: MineOptions,
): Promise<bigint | null> {
  signal?.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {}); // nobody waits for it once a stamp is found
  const abort = () => aborted.reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const threads = await borrowKernelThreads(module, count);
  try {
    signal?.throwIfAborted();
    if (threads.length === 0) return null;
    let next = 0;
    let tries = 0;
    const take = (length: number) => {
      const start = next;
      // A range ends where the high word of the nonce would change.
      next = Math.min(start + length, (Math.floor(start / U32_SPACE) + 1) * U32_SPACE);
      return { start, end: next };
    };
    const done = (length: number) => {
      tries += length;
      onProgress?.({ tries, expected: search.difficulty });
    };
    return await Promise.race([
      aborted.promise,
      ...threads.map((thread) => mine(thread, search, take, done)),
    ]);
  } finally {
    signal?.removeEventListener("abort", abort);
    releaseKernelThreads(threads);
  }
}

/** One thread's search, range after range. */
async function mine(
  thread: KernelThread,
  { key, limit, isStamp }: StampSearch,
  take: (length: number) => { start: number; end: number },
  done: (length: number) => void,
): Promise<bigint> {
  let length = FIRST_RANGE;
  for (;;) {
    const { start, end } = take(length);
    const started = performance.now();
    const high = Math.floor(start / U32_SPACE);
    for (let from = start; from < end; ) {
      const low = await thread.search(key, high, from % U32_SPACE, Math.ceil((end - from) / 4), limit);
      const candidate = high * U32_SPACE + low;
      if (candidate < from || candidate >= end) break;
      if (isStamp(BigInt(candidate))) return BigInt(candidate);
      from = candidate + 1;
    }
    done(end - start);
    const rate = (end - start) / Math.max(performance.now() - started, 1);
    length = Math.max(1, Math.floor(rate * RANGE_MS));
  }
}
