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
import { primitives } from "./select.ts";
import { searchStamp } from "./stamp-search.ts";

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
  /** Called about fifty times a second. */
  onProgress?: (progress: StampProgress) => void;
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
 * Finds a nonce worth `difficulty`, in slices of 20 ms between which the event loop runs.
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
  const words = littleEndianWords(key);
  let next = 0; // a safe integer for 2^53 tries, far more than the greatest difficulty ever takes
  let slice = FIRST_SLICE_TRIES;
  for (;;) {
    options.signal?.throwIfAborted();
    const started = performance.now();
    const high = Math.floor(next / U32_SPACE);
    const start = next % U32_SPACE;
    const end = Math.min(start + slice, U32_SPACE);
    for (let low = start; low < end; ) {
      const candidate = searchStamp(words, high, low, end - low, limit);
      if (candidate < 0) break;
      // The search looked at the first word alone; now the whole hash is compared.
      const nonce = (BigInt(high) << 32n) | BigInt(candidate);
      if (verifyStamp(key, nonce, difficulty)) return nonce;
      low = candidate + 1;
    }
    next += end - start;
    const elapsed = performance.now() - started;
    slice = Math.max(1, Math.floor((slice * SLICE_MS) / Math.max(elapsed, 1)));
    options.onProgress?.({ tries: next, expected: difficulty });
    await yieldTurn();
  }
}

/**
 * Gives the event loop a turn. Browsers hold timers back, to 4 ms always and to a second in a tab out of sight, so it
 * is a message to oneself there; Node would go on with such messages for a thousand turns and starve its timers.
 */
function yieldTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
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
