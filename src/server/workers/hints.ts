/**
 * Hints as a worker has them: sent to the primary, which passes them on to the other workers and says when all have acted.
 * What is sent within two milliseconds travels together, the same hint once, so that a busy node cannot fill the channel.
 */

import type { Hint, Hints } from "../../hints.ts";
import type { FromWorker, HintMessage } from "./messages.ts";

/** The worker's end of the channel. */
export interface HintChannel {
  readonly connected: boolean;
  send(message: FromWorker): void;
}

/** Hints, and where the channel's messages about them go. */
export interface WorkerHints extends Hints {
  receive(message: HintMessage): void;
  /** The channel is gone: nobody is waited for any longer. */
  disconnected(): void;
}

const GATHER_MS = 2;
const PATIENCE_MS = 1_000;

/** What is sent together, and who waits for it. */
interface Batch {
  readonly hints: Map<string, Hint>;
  readonly acted: PromiseWithResolvers<void>;
}

/** Puts hints on a channel. */
export function createWorkerHints(channel: HintChannel): WorkerHints {
  const listeners = new Set<(hint: Hint) => void>();
  const gapListeners = new Set<() => void>();
  const unanswered = new Map<number, Batch>();
  let gathering: Batch | undefined;
  let lastId = 0;
  let closed = false;

  function gather(): Batch {
    const id = ++lastId;
    const batch: Batch = { hints: new Map(), acted: Promise.withResolvers() };
    unanswered.set(id, batch);
    setTimeout(() => {
      gathering = undefined;
      channel.send({ kind: "hints", id, hints: [...batch.hints.values()] });
    }, GATHER_MS);
    setTimeout(() => answered(id), PATIENCE_MS).unref();
    return batch;
  }

  function answered(id: number): void {
    unanswered.get(id)?.acted.resolve();
    unanswered.delete(id);
  }

  function answerAll(): void {
    for (const id of unanswered.keys()) answered(id);
  }

  return {
    get connected() {
      return !closed && channel.connected;
    },
    async send(hint) {
      if (closed || !channel.connected) return;
      gathering ??= gather();
      gathering.hints.set(JSON.stringify(hint), hint);
      await gathering.acted.promise;
    },
    listen: (listener) => subscribe(listeners, listener),
    onGap: (listener) => subscribe(gapListeners, listener),
    receive(message) {
      if (message.kind === "acted") {
        answered(message.id);
      } else if (message.kind === "gap") {
        for (const listener of gapListeners) listener();
      } else {
        for (const hint of message.hints) for (const listener of listeners) listener(hint);
        channel.send({ kind: "acted", id: message.id });
      }
    },
    disconnected: answerAll,
    async close() {
      closed = true;
      answerAll();
      listeners.clear();
      gapListeners.clear();
    },
  };
}

function subscribe<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}
