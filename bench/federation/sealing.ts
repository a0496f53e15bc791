/** Seals and signs shares by the thousand, on all cores: from each sender in turn, to each recipient in turn. */

import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SealedShare } from "../../src/protocol/seal.ts";
import type { People, Sender } from "./people.ts";

/** A share that is ready to be sent. */
export interface ReadyShare extends SealedShare {
  readonly sender: Sender;
}

/** What a thread is given. */
export interface SealingJob {
  readonly people: People;
  /** Numbers of the shares, which say who sends and who receives them. */
  readonly from: number;
  readonly to: number;
}

/** So many shares, sealed now. */
export async function sealShares(people: People, count: number): Promise<readonly ReadyShare[]> {
  const threads = availableParallelism();
  const bounds = Array.from({ length: threads + 1 }, (_, index) => Math.floor((count * index) / threads));
  const parts = await Promise.all(
    bounds.slice(1).map((to, index) => sealOnThread({ people, from: bounds[index] ?? 0, to })),
  );
  return parts.flat().map((sealed, index) => ({ ...sealed, sender: senderOf(people, index) }));
}

/** Who sends the share of this number. */
export function senderOf({ senders }: People, number: number): Sender {
  const sender = senders[number % senders.length];
  if (sender === undefined) throw new Error("there is nobody who sends");
  return sender;
}

async function sealOnThread(job: SealingJob): Promise<SealedShare[]> {
  const thread = new Worker(new URL("sealing-thread.ts", import.meta.url), { workerData: job });
  const [sealed] = await once(thread, "message");
  return sealed as SealedShare[];
}
