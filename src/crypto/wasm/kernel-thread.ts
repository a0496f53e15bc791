/**
 * The kernel on threads of its own: searching for stamps, and hashing the subtrees of large inputs. A thread is given the
 * compiled module, so it needs no file and no bundler knows of it.
 */

import { CryptoError } from "../errors.ts";
import { startThread, type ThreadPort } from "../threads.ts";
import { INPUT_CHUNKS, KERNEL_OFFSETS, type KernelFunctions } from "./kernel.ts";

/** What a thread is asked. */
type Question =
  | { readonly start: { module: WebAssembly.Module; offsets: typeof KERNEL_OFFSETS; pieceChunks: number } }
  | { readonly search: { key: Uint8Array; high: number; start: number; groups: number; limit: number } }
  | { readonly subtree: { buffer: ArrayBuffer; length: number; base: number } }
  | { readonly subtreeOfFile: { fd: number; position: number; length: number; base: number } };

/** What a thread answers where a file could not be read: what is left of an error on the way between threads. */
interface ReadFailure {
  readonly message: string;
  /** The system's name of the error; undefined where the file ended too early. */
  readonly code: string | undefined;
}

/** A subtree's chaining value, 32 bytes, and the buffer that it was in. */
export interface HashedSubtree {
  readonly chainingValue: Uint8Array;
  readonly buffer: ArrayBuffer;
}

/** A thread with a kernel. */
export interface KernelThread {
  /** `searchStamp` of kernel/stamp.as, under a 32-byte key. */
  search(key: Uint8Array, high: number, start: number, groups: number, limit: number): Promise<number>;
  /**
   * The chaining value of the first `length` bytes of a buffer as the subtree that begins at chunk `base`; the buffer goes
   * to the thread and comes back.
   */
  subtree(buffer: ArrayBuffer, length: number, base: number): Promise<HashedSubtree>;
  /**
   * The same of `length` bytes of an open file, which the thread reads itself.
   *
   * @throws the system's error, or CryptoError `unavailable` when the file ends too early.
   */
  subtreeOfFile(fd: number, position: number, length: number, base: number): Promise<Uint8Array>;
  /** Whether it can still be asked. */
  alive(): boolean;
  close(): void;
}

/** How long a thread is kept for the next use: starting one takes some 40 ms, keeping one some megabytes. */
const IDLE_MS = 5000;

/** Threads that nobody uses at the moment, and the timer that ends them. */
const idle = new Map<KernelThread, ReturnType<typeof setTimeout>>();

/** Up to `count` threads that are there already, from an earlier use. Give them back with `releaseKernelThreads`. */
export function takeIdleKernelThreads(count: number): KernelThread[] {
  const kept = [...idle].slice(0, count).map(([thread, timer]) => {
    clearTimeout(timer);
    idle.delete(thread);
    return thread;
  });
  return kept.filter((thread) => thread.alive());
}

/** As many threads as can be had, up to `count`: idle ones first. Give them back with `releaseKernelThreads`. */
export async function borrowKernelThreads(
  module: WebAssembly.Module,
  count: number,
): Promise<KernelThread[]> {
  const kept = takeIdleKernelThreads(count);
  const missing = Array.from({ length: count - kept.length }, () => startKernelThread(module));
  const started = (await Promise.all(missing)).filter((thread) => thread !== null);
  return [...kept, ...started].filter((thread) => thread.alive());
}

/** Gives threads back. What they are still at is done first. */
export function releaseKernelThreads(threads: readonly KernelThread[]): void {
  for (const thread of threads) {
    const timer: ReturnType<typeof setTimeout> | { unref(): void } = setTimeout(() => {
      idle.delete(thread);
      thread.close();
    }, IDLE_MS);
    if (typeof timer === "object") timer.unref(); // Node need not stay for it
    idle.set(thread, timer as ReturnType<typeof setTimeout>);
  }
}

/** Starts a thread on a compiled kernel; null where there are no threads. */
async function startKernelThread(module: WebAssembly.Module): Promise<KernelThread | null> {
  const thread = startThread(kernelThread);
  if (thread === null) return null;
  const ask = (question: Question, transfer?: ArrayBuffer[]) => thread.ask(question, transfer);
  try {
    await ask({ start: { module, offsets: KERNEL_OFFSETS, pieceChunks: INPUT_CHUNKS } });
  } catch {
    thread.close();
    return null;
  }
  return {
    search: async (key, high, start, groups, limit) =>
      (await ask({ search: { key, high, start, groups, limit } })) as number,
    subtree: async (buffer, length, base) =>
      (await ask({ subtree: { buffer, length, base } }, [buffer])) as HashedSubtree,
    async subtreeOfFile(fd, position, length, base) {
      const answer = await ask({ subtreeOfFile: { fd, position, length, base } });
      if (answer instanceof Uint8Array) return answer;
      throw readError(answer as ReadFailure);
    },
    alive: () => thread.alive(),
    close: () => thread.close(),
  };
}

function readError({ message, code }: ReadFailure): Error {
  if (code === undefined) return new CryptoError("unavailable", message);
  return Object.assign(new Error(message), { code, syscall: "read" });
}

/** Runs in the thread, as text: it may refer to nothing outside of itself. */
function kernelThread(): void {
  const CHUNK_LENGTH = 1024;
  const CV_LENGTH = 32;
  const port = (globalThis.process?.getBuiltinModule?.("node:worker_threads").parentPort ??
    globalThis) as unknown as ThreadPort;
  let kernel: KernelFunctions;
  let memory: Uint8Array;
  let offsets: typeof KERNEL_OFFSETS;
  let pieceChunks: number;

  /** Hashes a subtree whose pieces are put into the input one after the other. */
  const hashSubtree = (length: number, base: number, put: (offset: number, length: number) => void) => {
    const pieceLength = pieceChunks * CHUNK_LENGTH;
    let [index, depth, offset] = [0, 0, 0];
    try {
      for (; length - offset > pieceLength; offset += pieceLength) {
        put(offset, pieceLength);
        depth = kernel.absorb(pieceChunks, 0, index, base, depth);
        index += pieceChunks;
      }
      put(offset, length - offset);
      kernel.finish(length - offset, 0, index, base, depth, 0);
      return memory.slice(offsets.out, offsets.out + CV_LENGTH);
    } finally {
      memory.fill(0, offsets.input, offsets.input + pieceLength);
    }
  };

  const answers = {
    start(given: { module: WebAssembly.Module; offsets: typeof KERNEL_OFFSETS; pieceChunks: number }) {
      const { exports } = new WebAssembly.Instance(given.module);
      kernel = exports as unknown as KernelFunctions;
      memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
      ({ offsets, pieceChunks } = given);
      port.postMessage(null);
    },
    search(given: { key: Uint8Array; high: number; start: number; groups: number; limit: number }) {
      memory.set(given.key, offsets.key);
      port.postMessage(kernel.searchStamp(given.high, given.start, given.groups, given.limit));
      memory.fill(0, offsets.key, offsets.key + given.key.length);
    },
    subtree({ buffer, length, base }: { buffer: ArrayBuffer; length: number; base: number }) {
      const data = new Uint8Array(buffer);
      const chainingValue = hashSubtree(length, base, (offset, length) =>
        memory.set(data.subarray(offset, offset + length), offsets.input),
      );
      port.postMessage({ chainingValue, buffer }, [buffer]);
    },
    subtreeOfFile({
      fd,
      position,
      length,
      base,
    }: {
      fd: number;
      position: number;
      length: number;
      base: number;
    }) {
      const { readSync } = globalThis.process.getBuiltinModule("node:fs");
      try {
        const chainingValue = hashSubtree(length, base, (offset, length) => {
          for (let filled = 0; filled < length; ) {
            const at = position + offset + filled;
            const read = readSync(fd, memory, offsets.input + filled, length - filled, at);
            if (read === 0) throw new Error("the file became shorter while it was hashed");
            filled += read;
          }
        });
        port.postMessage(chainingValue);
      } catch (error) {
        const { message, code } = error as NodeJS.ErrnoException;
        port.postMessage({ message, code });
      }
    },
  };
  port.onmessage = ({ data }) => {
    const question = data as Question;
    if ("start" in question) answers.start(question.start);
    else if ("search" in question) answers.search(question.search);
    else if ("subtree" in question) answers.subtree(question.subtree);
    else answers.subtreeOfFile(question.subtreeOfFile);
  };
}
