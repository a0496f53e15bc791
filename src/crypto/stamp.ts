/**
 * Stamps: proof of work that makes unasked-for messages and accounts cost something (docs/protocol.md section 6.4).
 *
 *     stamp key = BLAKE3-derive("keypears v1 stamp", id ‖ lp(address))
 *     work      = BLAKE3-keyed(stamp key, u64(nonce)), a big-endian integer, must be below ⌊2^256 / difficulty⌋
 *
 * The id is a share id, or that of an account-creation challenge.
 */

import { concat, lp, toHex, u64 } from "./bytes.ts";
import { DERIVATION_CONTEXT } from "./contexts.ts";
import { CryptoError, requireLength } from "./errors.ts";
import { BLAKE3_KEY_LENGTH } from "./primitives.ts";
import { chosenKernel, primitives } from "./select.ts";
import { mineOnThreads } from "./stamp-miner.ts";
import { searchStamp } from "./stamp-search.ts";
import { availableThreads } from "./threads.ts";
import { instantiateKernel } from "./wasm/kernel.ts";
import { yieldTurn } from "./yield-turn.ts";

/** Length of the id that a stamp is bound to. */
export const STAMP_ID_LENGTH = 32;
/** Tries that a stamp for a first contact costs on average, unless the recipient asks for another number. */
export const DEFAULT_STAMP_DIFFICULTY = 2 ** 22;
/** The most that anyone may ask for. */
export const MAX_STAMP_DIFFICULTY = 2 ** 28;

const WORK_SPACE = 2n ** 256n;
const U32_SPACE = 2 ** 32;
// How long the search holds the thread before it lets others on: short enough that a window stays fluent.
const SLICE_MS = 20;
const FIRST_SLICE_TRIES = 20_000;
/** Starting threads takes as long as this many tries. */
const THREADED_DIFFICULTY = 2 ** 21;

/** How far a search has come. */
export interface StampProgress {
  /** Nonces tried so far. */
  tries: number;
  /** Tries needed on average: the difficulty. Luck decides, so `tries` may come to be greater. */
  expected: number;
}

/** How to watch and stop a search. */
export interface MineOptions {
  /** Stops the search, which then throws the signal's reason. */
  signal?: AbortSignal;
  /** Called some fifty times a second. */
  onProgress?: (progress: StampProgress) => void;
  /**
   * Threads to search on, 1 for this one alone. Unless given, this one for what takes less than starting threads does, and
   * as many as the machine runs at once for the rest.
   */
  threads?: number;
}

/** The 32-byte key that ties a stamp to one id (32 bytes) and one canonical address. @throws CryptoError `wrong-length`. */
export function stampKey(id: Uint8Array, address: string): Uint8Array {
  requireLength("stamp id", id, STAMP_ID_LENGTH);
  return primitives().blake3.deriveKey(DERIVATION_CONTEXT.stamp, concat(id, lp(address)));
}

/**
 * Whether a nonce is worth `difficulty` under a stamp key.
 *
 * @throws CryptoError `out-of-range` for a difficulty that is no integer from 1 to 2^28; `wrong-length` for the key.
 */
export function verifyStamp(key: Uint8Array, nonce: bigint, difficulty: number): boolean {
  const target = stampTarget(difficulty);
  if (nonce < 0n || nonce >= 2n ** 64n) return false;
  const work = primitives().blake3.keyed(key, u64(nonce));
  return BigInt(`0x${toHex(work)}`) < target;
}

/**
 * Finds a nonce worth `difficulty`: on threads where that is faster and there are any, else in slices of 20 ms between
 * which the event loop runs.
 *
 * @param key 32 bytes, from `stampKey`.
 * @throws CryptoError as `verifyStamp` does; the signal's reason when it is aborted.
 */
export async function mineStamp(
  key: Uint8Array,
  difficulty: number,
  options: MineOptions = {},
): Promise<bigint> {
  requireLength("stamp key", key, BLAKE3_KEY_LENGTH);
  const limit = Number((stampTarget(difficulty) - 1n) >> 224n);
  // Every search looks at the first word alone; then the whole hash is compared.
  const isStamp = (nonce: bigint) => verifyStamp(key, nonce, difficulty);
  const threads = options.threads ?? (difficulty >= THREADED_DIFFICULTY ? availableThreads() : 1);
  const kernel = chosenKernel();
  if (threads > 1 && kernel !== null) {
    const nonce = await mineOnThreads(kernel, threads, { key, difficulty, limit, isStamp }, options);
    if (nonce !== null) return nonce;
  }
  return mineHere(createSearch(key, kernel), difficulty, limit, isStamp, options);
}

/**
 * Searches `count` nonces or up to three more for the first whose hash begins with a word of at most `limit`; if it gives
 * one that is not among the `count`, there is none.
 */
type Search = (high: number, low: number, count: number, limit: number) => number;

function createSearch(key: Uint8Array, module: WebAssembly.Module | null): Search {
  if (module === null) {
    const words = littleEndianWords(key);
    return (high, low, count, limit) => searchStamp(words, high, low, count, limit);
  }
  const kernel = instantiateKernel(module);
  kernel.key.set(key);
  return (high, low, count, limit) => kernel.searchStamp(high, low, Math.ceil(count / 4), limit);
}

async function mineHere(
  search: Search,
  difficulty: number,
  limit: number,
  isStamp: (nonce: bigint) => boolean,
  { signal, onProgress }: MineOptions,
): Promise<bigint> {
  let next = 0; // a safe integer for 2^53 tries, far more than the greatest difficulty ever takes
  let slice = FIRST_SLICE_TRIES;
  for (;;) {
    signal?.throwIfAborted();
    const started = performance.now();
    const high = Math.floor(next / U32_SPACE);
    const start = next % U32_SPACE;
    const end = Math.min(start + slice, U32_SPACE);
    for (let low = start; low < end; ) {
      const candidate = search(high, low, end - low, limit);
      if (candidate < low || candidate >= end) break;
      const nonce = (BigInt(high) << 32n) | BigInt(candidate);
      if (isStamp(nonce)) return nonce;
      low = candidate + 1;
    }
    next += end - start;
    const elapsed = performance.now() - started;
    slice = Math.max(1, Math.floor((slice * SLICE_MS) / Math.max(elapsed, 1)));
    onProgress?.({ tries: next, expected: difficulty });
    await yieldTurn();
  }
}

/** ⌊2^256 / difficulty⌋. */
function stampTarget(difficulty: number): bigint {
  if (!Number.isSafeInteger(difficulty) || difficulty < 1 || difficulty > MAX_STAMP_DIFFICULTY) {
    throw new CryptoError(
      "out-of-range",
      `stamp difficulty must be an integer from 1 to ${MAX_STAMP_DIFFICULTY}`,
    );
  }
  return WORK_SPACE / BigInt(difficulty);
}

function littleEndianWords(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}
