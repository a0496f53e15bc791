/** What a sending node takes of memory when its outbox holds a hundred thousand shares, whose receiver is down and comes up. */

import { setTimeout as delay } from "node:timers/promises";
import { acceptShares, multiplyShares, openOutbox } from "./databases.ts";
import { forgetPeak, peakMegabytes, residentMegabytes } from "./memory.ts";
import type { People } from "./people.ts";
import { type Ground, planRoad } from "./roads.ts";
import type { ReadyShare } from "./sealing.ts";

/** Shares that wait. */
export const BACKLOG = 100_000;
/** After this a node has done what it does after its start, in milliseconds. */
const SETTLED_MS = 3_000;
const DOWN_MS = 5_000;
const UP_MS = 15_000;
/** The longest that a destination is left alone after a few failures, with something to spare. */
const NOTICED_MS = 30_000;
const LOOK_MS = 100;

/** What was seen. */
export interface BacklogMemory {
  /** Resident at rest, in megabytes, before the shares were due. */
  readonly idle: number;
  /** The most that was resident from then on. */
  readonly peak: number;
  /** How many had been delivered by then. */
  readonly delivered: number;
}

/** Measures it, once. Of the same envelope every sender has one copy: all but the first are duplicates to the receiver. */
export async function measureBacklog(
  ground: Ground,
  { senders }: People,
  shares: readonly ReadyShare[],
): Promise<BacklogMemory> {
  await using parts = new AsyncDisposableStack();
  const plan = await planRoad(ground, "backlog");
  await acceptShares(plan.sendingFile, shares.slice(0, BACKLOG / senders.length));
  multiplyShares(plan.sendingFile);
  const sender = await plan.startSender();
  parts.defer(() => sender.stop());
  const outbox = openOutbox(plan.sendingFile);
  parts.defer(() => outbox.close());
  await delay(SETTLED_MS);
  const idle = residentMegabytes(sender.pid);
  forgetPeak(sender.pid);
  outbox.release(0, BACKLOG);
  await delay(DOWN_MS);
  const receiver = await plan.startReceiver();
  parts.defer(() => receiver.stop());
  const noticed = performance.now() + NOTICED_MS;
  while (outbox.count("DELIVERED") === 0 && performance.now() < noticed) await delay(LOOK_MS);
  await delay(UP_MS);
  return { idle, peak: peakMegabytes(sender.pid), delivered: outbox.count("DELIVERED") };
}
