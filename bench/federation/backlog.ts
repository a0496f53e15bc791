/** What a sending node takes of memory when its outbox holds a hundred thousand shares, whose receiver is down and comes up. */

import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { RetryShareRequestSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { makeCall } from "../scale/grpc-client.ts";
import { openConnections } from "./connection.ts";
import { acceptShares, type Inbox, multiplyShares, openInbox, openOutbox } from "./databases.ts";
import { forgetPeak, peakMegabytes, residentMegabytes } from "./memory.ts";
import type { People } from "./people.ts";
import { type Ground, planRoad } from "./roads.ts";
import type { ReadyShare } from "./sealing.ts";

/** Shares that wait. */
export const BACKLOG = 100_000;
/** After this a node has done what it does after its start, in milliseconds. */
const SETTLED_MS = 3_000;
const DOWN_MS = 5_000;
const UP_MS = 10_000;
const PATIENCE_MS = 30_000;
const RETRY = "/keypears.v1.ShareService/RetryShare";
const RETRY_MS = 1_000;

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
  await delay(SETTLED_MS);
  const idle = residentMegabytes(sender.pid);
  forgetPeak(sender.pid);
  outbox.release(0, BACKLOG);
  await delay(DOWN_MS);
  const receiver = await plan.startReceiver();
  parts.defer(() => receiver.stop());
  const inbox = openInbox(plan.receivingFile);
  parts.defer(() => inbox.close());
  await retry(ground, plan.port, multiplied, inbox);
  await delay(UP_MS);
  sender.requireAlive();
  return { idle, peak: peakMegabytes(sender.pid), delivered: outbox.count("DELIVERED") };
}

/** Asks the node to try again, as somebody does who sees that the other domain is back; else it would wait for a while. */
async function retry(
  ground: Ground,
  port: number,
  shares: readonly ReadyShare[],
  inbox: Pick<Inbox, "count">,
): Promise<void> {
  using parts = new DisposableStack();
  const { sessions, broken } = await openConnections(ground, port, 1, parts);
  const [session] = sessions;
  const deadline = performance.now() + PATIENCE_MS;
  while (inbox.count() === 0) {
    // The last of its sender's, which is not among those that were tried and failed.
    const last = shares.findLast(({ sender }) => sender === shares[0]?.sender);
    if (session === undefined || last === undefined || performance.now() > deadline) {
      throw new Error("backlog: the shares did not arrive");
    }
    const message = toBinary(
      RetryShareRequestSchema,
      create(RetryShareRequestSchema, { shareId: last.shareId }),
    );
    await Promise.race([broken, makeCall(session, { path: RETRY, message, token: last.sender.token })]);
    await delay(RETRY_MS);
  }
}
