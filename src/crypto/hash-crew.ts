/**
 * Threads that hash one large input together: its subtrees go to whichever has room, this thread among them, and the
 * chaining values are joined in the order of the input (BLAKE3 specification, section 5.3).
 */

import {
  borrowKernelThreads,
  type KernelThread,
  releaseKernelThreads,
  takeIdleKernelThreads,
} from "./wasm/kernel-thread.ts";
import { joinSubtrees, type SubtreeJoin } from "./wasm/subtrees.ts";
import { yieldTurn } from "./yield-turn.ts";

/** Bytes of a subtree; the last of an input may be shorter. */
export const SUBTREE_LENGTH = 1024 * 1024;

/** A subtree, and how its chaining value is had. `base` is its first chunk. */
export interface Subtree {
  onThread(thread: KernelThread, base: number): Promise<Uint8Array>;
  here(join: SubtreeJoin, base: number): Uint8Array;
}

/** This thread and the others that hash one input. */
export interface HashCrew {
  /** How many subtrees were given to be hashed. */
  count(): number;
  /** Hashes the next subtree: on a thread that has room for it, else here. @throws what an earlier one failed with. */
  hash(subtree: Subtree): Promise<void>;
  /** The hash of the input, of which two subtrees at least were given. @throws what a subtree failed with. */
  digest(length: number): Promise<Uint8Array>;
  /** Waits until no thread is at work any more, and gives the threads back. */
  close(): Promise<void>;
}

const SUBTREE_CHUNKS = SUBTREE_LENGTH / 1024;
/** What is hashed here before threads are started: starting them takes as long. */
const SUBTREES_WITHOUT_THREADS = 16;
const SUBTREES_PER_THREAD = 2; // one that is hashed and one that waits

/** A thread, and how many subtrees it has to do. */
interface Seat {
  readonly thread: KernelThread;
  load: number;
}

/** A crew of so many threads, this one among them. The others are started when there is enough to do. */
export function createHashCrew(module: WebAssembly.Module, threads: number): HashCrew {
  const join = joinSubtrees(module, SUBTREE_LENGTH);
  const ahead = new Map<number, Uint8Array>();
  const atWork = new Set<Promise<void>>();
  const seatOf = (thread: KernelThread): Seat => ({ thread, load: 0 });
  let seats: readonly Seat[] = takeIdleKernelThreads(threads - 1).map(seatOf);
  let started = seats.length === threads - 1;
  let closed = false;
  let failure: { readonly error: unknown } | undefined;
  let [next, joined] = [0, 0];

  async function start(): Promise<void> {
    const borrowed = await borrowKernelThreads(module, threads - 1 - seats.length);
    if (closed) releaseKernelThreads(borrowed);
    else seats = [...seats, ...borrowed.map(seatOf)];
  }

  function take(number: number, chainingValue: Uint8Array): void {
    ahead.set(number, chainingValue);
    for (let own = ahead.get(joined); own !== undefined; own = ahead.get(joined)) {
      join.add(own);
      ahead.delete(joined++);
    }
  }

  async function hashOn(seat: Seat, subtree: Subtree, number: number): Promise<void> {
    seat.load++;
    try {
      take(number, await subtree.onThread(seat.thread, number * SUBTREE_CHUNKS));
    } catch (error) {
      failure ??= { error };
    } finally {
      seat.load--;
    }
  }

  return {
    count: () => next,
    async hash(subtree) {
      if (failure !== undefined) throw failure.error;
      const number = next++;
      const seat = seats.find(({ load }) => load < SUBTREES_PER_THREAD);
      if (seat !== undefined) {
        const hashing = hashOn(seat, subtree, number);
        atWork.add(hashing);
        void hashing.then(() => atWork.delete(hashing));
        return;
      }
      take(number, subtree.here(join, number * SUBTREE_CHUNKS));
      if (number >= SUBTREES_WITHOUT_THREADS && !started) {
        started = true;
        void start();
      }
      await yieldTurn(); // in which the threads' answers come
    },
    async digest(length) {
      await Promise.all(atWork);
      if (failure !== undefined) throw failure.error;
      return join.digest(length);
    },
    async close() {
      closed = true;
      await Promise.all(atWork);
      releaseKernelThreads(seats.map(({ thread }) => thread));
    },
  };
}
