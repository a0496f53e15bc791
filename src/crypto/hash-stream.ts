/**
 * BLAKE3 of a stream, on several threads: it is cut into subtrees of a mebibyte, which threads hash while the next ones are
 * read, and the chaining values are joined. Memory holds a few subtrees, however long the stream is.
 */

import { type ByteSource, piecesOf, readerOf } from "./byte-source.ts";
import { requireRange } from "./errors.ts";
import { BLAKE3_LENGTH, BLAKE3_MAX_LENGTH } from "./primitives.ts";
import { chosenKernel, primitives } from "./select.ts";
import { availableThreads } from "./threads.ts";
import {
  borrowKernelThreads,
  type KernelThread,
  releaseKernelThreads,
  takeIdleKernelThreads,
} from "./wasm/kernel-thread.ts";
import { joinSubtrees } from "./wasm/subtrees.ts";
import { yieldTurn } from "./yield-turn.ts";

/** How a stream is hashed. */
export interface HashStreamOptions {
  /**
   * Threads to hash on, this one among them; as many as the machine runs at once, but no more than 3, unless given. The
   * others take what this one reads, and while they have enough to do it hashes too.
   */
  threads?: number;
  /** Bytes of output, 1 to 1,024; 32 unless given. */
  length?: number;
  /** Stops it; it then throws the signal's reason, and the stream is cancelled. */
  signal?: AbortSignal;
  /** Called now and then with the number of bytes read so far. */
  onProgress?: (bytes: number) => void;
}

const SUBTREE_LENGTH = 1024 * 1024;
const SUBTREE_CHUNKS = SUBTREE_LENGTH / 1024;
/** What is hashed here before threads are started: starting them takes as long. */
const SUBTREES_WITHOUT_THREADS = 16;
const SUBTREES_PER_THREAD = 2; // one that is hashed and one that waits
const MAX_THREADS = 3; // unless more are asked for: each takes some ten megabytes, and this one reads for all
const MOST_THREADS = 64;
/** Pieces in which one thread alone reads what is read by filling buffers. */
const PIECE_LENGTH = 1024 * 1024;

/**
 * The hash of all that a source gives.
 *
 * @throws CryptoError `out-of-range` for a length or number of threads beyond the limits; what the source throws; the
 * signal's reason.
 */
export async function hashStream(source: ByteSource, options: HashStreamOptions = {}): Promise<Uint8Array> {
  const { threads = Math.min(availableThreads(), MAX_THREADS), length = BLAKE3_LENGTH } = options;
  requireRange("blake3 output length", length, 1, BLAKE3_MAX_LENGTH);
  requireRange("threads", threads, 1, MOST_THREADS);
  const kernel = chosenKernel();
  if (threads === 1 || kernel === null) return hashHere(source, length, options);
  return hashOnThreads(kernel, source, length, threads, options);
}

async function hashHere(
  source: ByteSource,
  length: number,
  { signal, onProgress }: HashStreamOptions,
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
  { signal, onProgress }: HashStreamOptions,
): Promise<Uint8Array> {
  signal?.throwIfAborted();
  const crew = createCrew(module, threads);
  const reader = readerOf(source);
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
    let current = crew.buffer();
    let filled = await fill(current);
    // A subtree is hashed when there is more behind it: the only one of a source would be its root.
    while (filled === SUBTREE_LENGTH) {
      const next = crew.buffer();
      const more = await fill(next);
      if (more === 0 && crew.count() === 0) break;
      await crew.hash(current, filled);
      [current, filled] = [next, more];
    }
    if (crew.count() === 0) return primitives().blake3.hash(current.subarray(0, filled), length);
    if (filled > 0) await crew.hash(current, filled);
    return await crew.digest(length);
  } finally {
    crew.close();
    await reader.close();
  }
}

/** A thread, and how many subtrees it has to do. */
interface Seat {
  readonly thread: KernelThread;
  load: number;
}

/** This thread and the others that hash one source, and the join of what they give, in the order of the source. */
function createCrew(module: WebAssembly.Module, threads: number) {
  const join = joinSubtrees(module, SUBTREE_LENGTH);
  const spare: ArrayBuffer[] = [];
  const ahead = new Map<number, Uint8Array>();
  const atWork = new Set<Promise<void>>();
  const seatOf = (thread: KernelThread): Seat => ({ thread, load: 0 });
  let seats: readonly Seat[] = takeIdleKernelThreads(threads - 1).map(seatOf);
  let closed = false;
  let [next, joined] = [0, 0];
  let started = seats.length === threads - 1;
  const start = async () => {
    const borrowed = await borrowKernelThreads(module, threads - 1 - seats.length);
    if (closed) releaseKernelThreads(borrowed);
    else seats = [...seats, ...borrowed.map(seatOf)];
  };
  const take = (subtree: number, chainingValue: Uint8Array) => {
    ahead.set(subtree, chainingValue);
    for (let own = ahead.get(joined); own !== undefined; own = ahead.get(joined)) {
      join.add(own);
      ahead.delete(joined++);
    }
  };
  const hashOn = async (seat: Seat, buffer: ArrayBuffer, length: number, subtree: number) => {
    seat.load++;
    const hashed = await seat.thread.subtree(buffer, length, subtree * SUBTREE_CHUNKS);
    seat.load--;
    take(subtree, hashed.chainingValue);
    spare.push(hashed.buffer);
  };
  return {
    /** A buffer to fill, which `hash` takes back. */
    buffer: () => new Uint8Array(spare.pop() ?? new ArrayBuffer(SUBTREE_LENGTH)),
    /** How many subtrees were given to be hashed. */
    count: () => next,
    /** Hashes the next subtree, of which a buffer holds `length` bytes: on a thread that has room for it, else here. */
    async hash(data: Uint8Array<ArrayBuffer>, length: number): Promise<void> {
      const subtree = next++;
      const seat = seats.find(({ load }) => load < SUBTREES_PER_THREAD);
      if (seat !== undefined) {
        const hashing = hashOn(seat, data.buffer, length, subtree);
        atWork.add(hashing);
        // One that fails stays, and is thrown where all are awaited.
        hashing.then(
          () => atWork.delete(hashing),
          () => {},
        );
        return;
      }
      take(subtree, join.subtree(data.subarray(0, length), subtree * SUBTREE_CHUNKS));
      spare.push(data.buffer);
      if (subtree >= SUBTREES_WITHOUT_THREADS && !started) {
        started = true;
        void start();
      }
      await yieldTurn(); // in which the threads' answers come
    },
    async digest(length: number): Promise<Uint8Array> {
      await Promise.all(atWork);
      return join.digest(length);
    },
    close() {
      closed = true;
      releaseKernelThreads(seats.map(({ thread }) => thread));
    },
  };
}
