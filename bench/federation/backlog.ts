/** What a sending node takes of memory when its outbox holds a hundred thousand shares, whose receiver is down and comes up. */

import { setTimeout as delay } from "node:timers/promises";
import { makeCall } from "../scale/grpc-client.ts";
import { openConnections } from "./connection.ts";
import { acceptShares, multiplyShares, openInbox, openOutbox } from "./databases.ts";
import { forgetPeak, peakMegabytes, residentMegabytes } from "./memory.ts";
import { retryCall } from "./pace.ts";
import type { People } from "./people.ts";
import { type Ground, planRoad } from "./roads.ts";
import type { ReadyShare } from "./sealing.ts";

/** Shares that wait. */
export const BACKLOG = 100_000;
/** After this a node has done what it does after its start, in milliseconds. */
const SETTLED_MS = 3_000;
const DOWN_MS = 5_000;
const UP_MS = 10_000;
const PATIENCE_MS = 60_000;
const LOOK_MS = 1_000;

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
  const multiplied = shares.slice(0, BACKLOG / senders.length);
  await acceptShares(plan.sendingFile, multiplied);
  multiplyShares(plan.sendingFile);
  const sender = await plan.startSender();
  parts.defer(() => sender.stop());
  const outbox = openOutbox(plan.sendingFile);
  parts.defer(() => outbox.close());
  // The two have known each other before.
  const before = await plan.startReceiver();
  try {
    outbox.release(0, 1);
    await until(() => outbox.count("DELIVERED") === 1);
  } finally {
    await before.stop();
  }
  await delay(SETTLED_MS);
  const idle = residentMegabytes(sender.pid);
  forgetPeak(sender.pid);
  outbox.release(1, BACKLOG);
  await delay(DOWN_MS);
  const receiver = await plan.startReceiver();
  parts.defer(() => receiver.stop());
  const inbox = openInbox(plan.receivingFile);
  parts.defer(() => inbox.close());
  const last = multiplied.at(-1);
  if (last === undefined) throw new Error("there are no shares");
  using clients = new DisposableStack();
  const { sessions, broken } = await openConnections(ground, plan.port, 1, clients);
  // As somebody does who sees that the other domain is back; else the node would wait for a while.
  await until(async () => {
    if (inbox.count() > 1) return true;
    await Promise.race([broken, ...sessions.map((session) => makeCall(session, retryCall(last)))]);
    return false;
  });
  await delay(UP_MS);
  sender.requireAlive();
  return { idle, peak: peakMegabytes(sender.pid), delivered: outbox.count("DELIVERED") };
}

async function until(met: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await met())) {
    if (performance.now() > deadline) throw new Error("backlog: the shares did not arrive");
    await delay(LOOK_MS);
  }
}
