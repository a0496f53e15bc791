/**
 * Lets accepted shares leave at an even pace, and looks when they are durable at the other end: from the acknowledgement of
 * RetryShare, which makes a share due in a transaction as SendShare does, to the first sight of the share in the receiver's
 * database, which is looked at every two milliseconds. SendShare itself would verify each signature once more, and the pace
 * would no longer be half of what both nodes can do.
 */

import type { ClientHttp2Session } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { RetryShareRequestSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { makeCall } from "../scale/grpc-client.ts";
import type { Call } from "../scale/operation.ts";
import { openConnections } from "./connection.ts";
import type { Ground, Road } from "./roads.ts";
import type { ReadyShare } from "./sealing.ts";

const PATH = "/keypears.v1.ShareService/RetryShare";
const CONNECTIONS = 4;
const WATCH_MS = 2;
const PATIENCE_MS = 60_000;

/**
 * Lets so many shares leave a second, after having them accepted.
 *
 * @returns milliseconds from acknowledged to durable, for each.
 * @throws Error if one is refused, or not durable a minute after the last.
 */
export async function deliverPaced(
  road: Road,
  ground: Ground,
  shares: readonly ReadyShare[],
  perSecond: number,
): Promise<number[]> {
  using parts = new DisposableStack();
  const { sessions, broken } = await openConnections(ground, road.port, CONNECTIONS, parts);
  const durable = watchInbox(road, shares.length);
  const calls = shares.map(retryCall);
  const acknowledged = callAll(sessions, calls, perSecond);
  const [durableAt, acknowledgedAt] = await Promise.race([broken, Promise.all([durable, acknowledged])]);
  return shares.map(({ shareId }, index) => {
    const at = durableAt.get(toHex(shareId)) ?? Number.NaN;
    // A share may arrive before its sender hears that it is on its way.
    return Math.max(0, at - (acknowledgedAt[index] ?? Number.NaN));
  });
}

/** Asks the sending node to deliver a share now. */
export function retryCall({ shareId, sender }: ReadyShare): Call {
  const message = toBinary(RetryShareRequestSchema, create(RetryShareRequestSchema, { shareId }));
  return { path: PATH, message, token: sender.token };
}

/** Makes each call when its time has come, however the others fare; answers when each was acknowledged. */
async function callAll(
  sessions: readonly ClientHttp2Session[],
  calls: readonly Call[],
  perSecond: number,
): Promise<number[]> {
  const began = performance.now();
  const answers: Promise<number>[] = [];
  for (const [index, call] of calls.entries()) {
    const wait = began + (index * 1_000) / perSecond - performance.now();
    if (wait > 0) await delay(wait);
    const session = sessions[index % sessions.length];
    if (session === undefined) throw new Error("there is no connection");
    const answered = makeCall(session, call).then(() => performance.now());
    answered.catch(() => {});
    answers.push(answered);
  }
  return Promise.all(answers);
}

/** When each of the next shares was first seen, by its id in hex. */
async function watchInbox({ inbox, name }: Road, count: number): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  let known = inbox.count();
  let lastNews = performance.now();
  while (seen.size < count) {
    const ids = inbox.after(known);
    const now = performance.now();
    for (const id of ids) seen.set(id, now);
    known += ids.length;
    if (ids.length > 0) lastNews = now;
    if (now - lastNews > PATIENCE_MS) throw new Error(`${name}: the shares did not arrive`);
    await delay(WATCH_MS);
  }
  return seen;
}
