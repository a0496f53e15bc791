// Correspondence through whatever happens: shares are sealed beforehand, sent until each is acknowledged, and in the end each
// of them has to be in its recipient's list exactly once.

import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { create } from "@bufbuild/protobuf";
import { expect } from "vitest";
import { EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { toClientError } from "../../src/client/errors.ts";
import { ClientError, DeliveryState, type NodeClients, type WatchEvent } from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import type { SealedShare } from "../../src/protocol/seal.ts";
import { type Person, shareIds } from "../support/clients.ts";
import type { SealedParts, SealOrder } from "./seal.entry.ts";

/** What a sender may be told who is to try again. */
const PASSING: ReadonlySet<string> = new Set([
  "NODE_UNREACHABLE",
  "DATABASE_UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "SHUTTING_DOWN",
  "STARTING",
]);
const FAULTS: ReadonlySet<string> = new Set(["INTERNAL", "UNKNOWN", "DATA_LOSS"]);
const SEAL_ENTRY = join(import.meta.dirname, "seal.entry.ts");
/** Time for one call: the node may be stopped without knowing. */
const CALL_TIMEOUT_MS = 10_000;
const RETRY_MS = 20;

/** Shares that are being sent. */
export interface Sending {
  /** Ids in hex of those that a node has acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  /** What callers were told meanwhile, and how often. */
  readonly refusals: ReadonlyMap<string, number>;
  /** Resolves when all of them are acknowledged. Rejects when something was refused for good. */
  readonly done: Promise<void>;
}

/** What an account's stream told. */
export interface Watching {
  /** Ids in hex, in the order in which they came. */
  readonly ids: readonly string[];
  /** Their numbers. */
  readonly sequences: readonly bigint[];
  stop(): Promise<void>;
}

/** The keys of two people, which sealing takes without asking anybody. */
export async function keysOf(from: Person, to: Person): Promise<Pick<SealOrder, "sender" | "recipient">> {
  const sender = (await from.account.keyRing()).at(-1);
  const recipient = (await to.account.keyRing()).at(-1)?.keySet;
  if (!sender || !recipient) throw new Error("somebody has no keys");
  return { sender: { keySet: sender.keySet, seeds: sender.seeds }, recipient };
}

/** Seals many shares from one person to another, on all cores. */
export async function sealMany(
  keys: Pick<SealOrder, "sender" | "recipient">,
  count: number,
  createdAt = Date.now(),
): Promise<SealedShare[]> {
  const threads = Math.min(availableParallelism(), 4);
  const orders = Array.from(
    { length: threads },
    (_, i): SealOrder => ({
      ...keys,
      createdAt,
      count: Math.floor((count + i) / threads),
    }),
  );
  return (await Promise.all(orders.map(sealOnThread))).flat();
}

async function sealOnThread(order: SealOrder): Promise<SealedShare[]> {
  const sealed: SealedShare[] = [];
  const worker = new Worker(SEAL_ENTRY, { workerData: order, execArgv: [] });
  worker.on("message", (page: SealedParts[]) => {
    for (const { shareId, ...parts } of page)
      sealed.push({ shareId, envelope: create(EnvelopeSchema, parts) });
  });
  await once(worker, "exit");
  if (sealed.length !== order.count) throw new Error("a thread did not seal what it was to");
  return sealed;
}

/**
 * Sends shares in any order, each through one node after another until one of them acknowledges it; the next one not before
 * `mayGoOn` says so.
 */
export function sendUntilAcknowledged(
  shares: readonly SealedShare[],
  nodes: readonly NodeClients[],
  options: { readonly atOnce?: number; readonly mayGoOn?: (acknowledged: number) => boolean } = {},
): Sending {
  const { atOnce = 8, mayGoOn = () => true } = options;
  const waiting = [...shares];
  const acknowledged = new Set<string>();
  const refusals = new Map<string, number>();

  async function sendOne({ envelope, shareId }: SealedShare, at: number): Promise<void> {
    for (let attempt = at; ; attempt++) {
      const node = nodes[attempt % nodes.length] as NodeClients;
      try {
        await node.shares.sendShare({ envelope }, { timeoutMs: CALL_TIMEOUT_MS });
        acknowledged.add(toHex(shareId));
        return;
      } catch (error) {
        const refusal = toClientError(error);
        if (!(refusal instanceof ClientError) || !PASSING.has(refusal.reason)) throw error;
        refusals.set(refusal.reason, (refusals.get(refusal.reason) ?? 0) + 1);
        await delay(RETRY_MS);
      }
    }
  }

  async function sendRest(sender: number): Promise<void> {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      while (!mayGoOn(acknowledged.size)) await delay(RETRY_MS);
      await sendOne(next, sender);
    }
  }

  const done = Promise.all(Array.from({ length: atOnce }, (_, i) => sendRest(i))).then(() => {});
  done.catch(() => {}); // whoever waits for it has the error
  return { acknowledged, refusals, done };
}

/** Watches what an account receives, from its first share on, until it is stopped. */
export function watchReceived({ account }: Person): Watching {
  const stopping = new AbortController();
  const ids: string[] = [];
  const sequences: bigint[] = [];
  const ended = follow(account.shares.watch({ signal: stopping.signal }));
  ended.catch(() => {}); // known when it is stopped
  return {
    ids,
    sequences,
    async stop() {
      stopping.abort();
      await ended;
    },
  };

  async function follow(events: AsyncIterable<WatchEvent>): Promise<void> {
    for await (const event of events) {
      if (event.kind !== "share") continue;
      ids.push(toHex(event.share.shareId));
      sequences.push(event.share.sequence);
    }
  }
}

/** Has somebody try again who waits for deliveries: their node then asks destinations that it leaves alone at present. */
export async function askForAnother({ account }: Person): Promise<void> {
  const { shares } = await account.shares.list("sent", { undeliveredOnly: true });
  const waiting = shares.find(({ delivery }) => delivery?.state === DeliveryState.QUEUED);
  if (waiting !== undefined) await account.shares.retry(waiting.shareId);
}

/** That a recipient's list has each of these shares once, and nothing else. */
export async function expectEachOnce(recipient: Person, acknowledged: ReadonlySet<string>): Promise<void> {
  expectSame(await shareIds(recipient), acknowledged);
}

/** That a stream told of each of these shares once, in order and without a gap. */
export async function expectWatchedOnce(
  watching: Watching,
  acknowledged: ReadonlySet<string>,
): Promise<void> {
  expectSame(watching.ids, acknowledged);
  const first = watching.sequences[0] ?? 1n;
  expect(watching.sequences).toEqual(watching.sequences.map((_, i) => first + BigInt(i)));
}

/** That the sender's own node knows of nothing that is still to be delivered, or never will be. */
export async function expectAllDelivered(sender: Person): Promise<void> {
  const { shares } = await sender.account.shares.list("sent", { undeliveredOnly: true });
  expect(shares.map(({ delivery }) => delivery?.message)).toEqual([]);
}

/** That a node, by its log, answered no call with an error that says that the node itself is wrong. */
export function expectNoFault(log: string): void {
  const lines = log
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line): Record<string, unknown> => JSON.parse(line));
  const faults = new Set(
    lines.filter(({ code }) => FAULTS.has(String(code))).map(({ requestId }) => requestId),
  );
  expect(lines.filter(({ requestId }) => faults.has(requestId))).toEqual([]);
}

function expectSame(ids: readonly string[], acknowledged: ReadonlySet<string>): void {
  const found = new Set(ids);
  expect({
    missing: [...acknowledged].filter((id) => !found.has(id)),
    unknown: ids.filter((id) => !acknowledged.has(id)),
    repeated: ids.length - found.size,
  }).toEqual({ missing: [], unknown: [], repeated: 0 });
}
