/**
 * Threads to compute on: worker_threads in Node, Web Workers in browsers, one way to talk to both. A thread answers each
 * message with one message. Where none can be started the caller does the work itself.
 */

import type { Worker as NodeWorker } from "node:worker_threads";
import { CryptoError } from "./errors.ts";

/** What a thread runs: a function that refers to nothing outside of itself, or a module. */
export type ThreadCode = (() => void) | URL;

/** A thread that answers. */
export interface Thread {
  /**
   * Sends a message and waits for the answer; questions are answered in their order.
   *
   * @throws CryptoError `unavailable` when the thread does not start, fails or is closed.
   */
  ask(question: unknown, transfer?: ArrayBuffer[]): Promise<unknown>;
  /** Whether it can still be asked. */
  alive(): boolean;
  /** Ends the thread at once, whatever it is at. */
  close(): void;
}

/** The far end of a thread, as its code sees it in Node and in browsers. */
export interface ThreadPort {
  onmessage: ((event: { data: unknown }) => void) | null;
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
}

/** How a thread is reached, before questions are matched with answers. */
interface Channel {
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Whether the process has to stay for this thread's sake. */
  hold(needed: boolean): void;
  terminate(): void;
}

/** For code that keeps its data outside of the heap: a thread then takes a third less memory. */
const SMALL_HEAP = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 16 };

/** How many threads this machine runs at once. */
export function availableThreads(): number {
  return Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Starts a thread; null where the platform has none or does not allow it. */
export function startThread(code: ThreadCode): Thread | null {
  const waiting: PromiseWithResolvers<unknown>[] = [];
  let failure: CryptoError | null = null;
  const onAnswer = (answer: unknown) => {
    waiting.shift()?.resolve(answer);
    if (waiting.length === 0) channel?.hold(false);
  };
  const onFailure = () => {
    failure ??= new CryptoError("unavailable", "a thread ended before its answer");
    for (const question of waiting.splice(0)) question.reject(failure);
  };
  let channel: Channel | null;
  try {
    channel = openNodeChannel(code, onAnswer, onFailure) ?? openWebChannel(code, onAnswer, onFailure);
  } catch {
    return null; // forbidden, by a page's content policy or Node's permissions
  }
  if (channel === null) return null;
  const { post, hold, terminate } = channel;
  hold(false);
  return {
    async ask(question, transfer = []) {
      if (failure !== null) throw failure;
      const answer = Promise.withResolvers<unknown>();
      waiting.push(answer);
      hold(true);
      post(question, transfer);
      return answer.promise;
    },
    alive: () => failure === null,
    close() {
      terminate();
      onFailure();
    },
  };
}

function openNodeChannel(
  code: ThreadCode,
  onAnswer: (answer: unknown) => void,
  onFailure: () => void,
): Channel | null {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (threads === undefined) return null;
  const options = { execArgv: [] };
  const worker: NodeWorker =
    typeof code === "function"
      ? new threads.Worker(`(${code})()`, { ...options, eval: true, resourceLimits: SMALL_HEAP })
      : new threads.Worker(code, options);
  worker.on("message", onAnswer);
  worker.on("error", onFailure);
  worker.on("messageerror", onFailure);
  worker.on("exit", onFailure);
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: (needed) => (needed ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}

function openWebChannel(
  code: ThreadCode,
  onAnswer: (answer: unknown) => void,
  onFailure: () => void,
): Channel | null {
  if (typeof Worker !== "function") return null;
  const worker = createWebWorker(code);
  worker.onmessage = ({ data }) => onAnswer(data);
  worker.onmessageerror = onFailure;
  worker.onerror = (event) => {
    event.preventDefault(); // it is reported to whoever asks
    onFailure();
  };
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold() {}, // a page does not wait for its workers
    terminate: () => worker.terminate(),
  };
}

function createWebWorker(code: ThreadCode): Worker {
  if (typeof code !== "function") return new Worker(code, { type: "module" });
  const url = URL.createObjectURL(new Blob([`(${code})()`], { type: "text/javascript" }));
  try {
    return new Worker(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}
