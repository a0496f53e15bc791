/**
 * Verifying many composite signatures on threads, for tiers that have none of their own: JavaScript's, where one takes
 * milliseconds. The threads are started at the first need and kept; where none can be had, the work is done here, with a
 * turn for the event loop after every item.
 */

import type { Composite, SignedItem } from "./composite.ts";
import { availableThreads, startThread, type Thread } from "./threads.ts";
import { yieldTurn } from "./yield-turn.ts";

const MAX_THREADS = 8;
/** Items in one message: some tens of milliseconds of work. */
const BATCH = 8;

/** The same file stands here compiled and as it is written. */
const THREAD_MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "./verify-thread.ts" : "./verify-thread.js",
  import.meta.url,
);

let kept: Promise<Thread[]> | undefined;

/** For each item what `verify` says of it, in their order. */
export async function verifyOnThreads(
  items: readonly SignedItem[],
  { verify }: Pick<Composite, "verify">,
): Promise<boolean[]> {
  const results = new Array<boolean>(items.length).fill(false);
  const batches = cut(items);
  const threads = batches.length > 1 ? await liveThreads() : [];
  const work = async (thread: Thread) => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      try {
        const verdicts = (await thread.ask(batch.items)) as boolean[];
        for (const [i, verdict] of verdicts.entries()) results[batch.start + i] = verdict;
      } catch {
        batches.unshift(batch); // the thread failed: another takes it, or it is done here
        return;
      }
    }
  };
  await Promise.all(threads.map(work));
  for (const { start, items: own } of batches) {
    for (const [i, { publicKey, message, signature, context }] of own.entries()) {
      results[start + i] = verify(publicKey, message, signature, context);
      await yieldTurn();
    }
  }
  return results;
}

function cut(items: readonly SignedItem[]): Array<{ start: number; items: readonly SignedItem[] }> {
  const count = Math.ceil(items.length / BATCH);
  return Array.from({ length: count }, (_, i) => ({
    start: i * BATCH,
    items: items.slice(i * BATCH, (i + 1) * BATCH),
  }));
}

async function liveThreads(): Promise<Thread[]> {
  kept ??= startThreads();
  return (await kept).filter((thread) => thread.alive());
}

async function startThreads(): Promise<Thread[]> {
  const threads: Thread[] = [];
  for (let i = 0; i < Math.min(availableThreads(), MAX_THREADS); i++) {
    const thread = startThread(THREAD_MODULE);
    if (thread !== null) threads.push(thread);
  }
  // Each answers an empty list once it is loaded; one that cannot be loaded fails.
  await Promise.all(threads.map((thread) => thread.ask([]).catch(() => {})));
  return threads;
}
