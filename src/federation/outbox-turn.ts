/**
 * One turn of a destination (docs/protocol.md, section 6.3): batches are leased, delivered and settled side by side until
 * nothing is left, the turn is over, or something fails. What is held at any time is bounded in envelopes and in bytes,
 * however much waits. All is held under one token, and whatever comes of it is written together as it comes.
 */

import { DeliveryOutcome } from "../../gen/keypears/v1/federation_service_pb.ts";
import type { Clock } from "../clock.ts";
import { randomBytes, toHex } from "../crypto/bytes.ts";
import type { Logger } from "../logger.ts";
import type { DeliveryUpdate, LeasedDelivery, OutboxStore } from "../storage/stores.ts";
import type { DeliveryRoute, OpenRoute, RouteLimits } from "./delivery-routes.ts";
import type { Pace } from "./outbox-pace.ts";
import {
  endsUntried,
  envelopeSize,
  toEnvelope,
  updateAfterAnswer,
  updateAfterFailure,
} from "./outbox-results.ts";

/** What a turn works with. */
export interface TurnOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly outbox: Pick<OutboxStore, "lease" | "renew" | "settle" | "release">;
  readonly openRoute: OpenRoute;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly leaseMs: number;
  /** How long one delivery may take, in milliseconds. */
  readonly deliveryTimeoutMs: number;
  readonly pace: Pace;
  /** Whether another batch may be taken after so many. */
  readonly mayGoOn: (batches: number) => boolean;
  /** Ends what is under way; the turn then gives back what it holds. */
  readonly stopping: AbortSignal;
}

/** A turn that is under way. */
export interface Turn {
  /** Says that more may be due, or that the turn may be over. */
  wake(): void;
  /** How it ended. Rejects with whatever the database threw. */
  readonly done: Promise<TurnEnd>;
}

/** What a turn came to. */
export interface TurnEnd {
  /** Whether the peer answered a batch. */
  readonly answered: boolean;
  /** What the first batch failed of that failed as a whole; undefined if none did, or the node stopped. */
  readonly failure: unknown;
  /** How long the peer asks to wait, in milliseconds; 0 if it does not. */
  readonly waitMs: number;
}

type Settlement = { readonly outboxId: number; readonly update: DeliveryUpdate };

/** Bytes of envelopes that a turn holds at once, whatever they are. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
/** What a batch may be before it is known what the peer takes. */
const FIRST_LIMITS: Omit<RouteLimits, "maxEnvelopeBytes"> = {
  maxBatches: 8,
  maxEnvelopes: 128,
  maxBytes: 1024 * 1024,
};
/** Within which a peer is left alone that puts everything off. */
const MIN_WAIT_MS = 100;
const MAX_WAIT_MS = 3_600_000;

/** Begins a turn. */
export function startTurn(domain: string, options: TurnOptions): Turn {
  const { clock, log, outbox, random, leaseMs, pace, stopping } = options;
  const token = toHex(randomBytes(16));
  const change = createLatch();
  const settling = createGroupedWrites<Settlement>(async (results) => {
    const settled = await outbox.settle(token, results);
    if (settled < results.length) {
      log.warn(
        { domain, lost: results.length - settled },
        "outbox: leases ran out before their results came",
      );
    }
  });
  const underWay = new Set<Promise<void>>();
  const outcomes: Record<string, number> = {};
  let held = { envelopes: 0, bytes: 0 };
  let route: DeliveryRoute | undefined;
  let answered = false;
  let failure: unknown;
  let fault: unknown;
  let waitMs = 0;

  async function run(): Promise<TurnEnd> {
    const renewal = setInterval(() => {
      outbox
        .renew(token, leaseMs)
        .catch((error: unknown) => log.warn({ err: error, domain }, "outbox: lease could not be renewed"));
    }, leaseMs / 3);
    try {
      await takeBatches();
      await Promise.all(underWay);
      if (fault !== undefined) throw fault;
      if (stopping.aborted) await outbox.release(token);
    } finally {
      clearInterval(renewal);
    }
    if (Object.keys(outcomes).length > 0) log.info({ domain, ...outcomes }, "outbox: delivered");
    return { answered, failure, waitMs };
  }

  async function takeBatches(): Promise<void> {
    for (let batches = 0; !isOver(batches); ) {
      const size = nextBatch();
      const leased =
        size === undefined ? [] : await outbox.lease({ destination: domain, token, leaseMs, ...size });
      if (leased.length > 0) {
        batches += 1;
        begin(leased);
      } else {
        if (underWay.size === 0) return;
        await change.wait();
      }
    }
  }

  function isOver(batches: number): boolean {
    return (
      failure !== undefined ||
      fault !== undefined ||
      waitMs > 0 ||
      stopping.aborted ||
      !options.mayGoOn(batches)
    );
  }

  /** What may be taken now; undefined if something has to be answered first. */
  function nextBatch(): { limit: number; maxBytes: number } | undefined {
    const { maxBatches, maxEnvelopes, maxBytes } = route?.limits() ?? FIRST_LIMITS;
    const limit = Math.min(maxEnvelopes, Math.ceil(pace.window() / maxBatches));
    if (underWay.size === 0) return { limit, maxBytes };
    // Until the first batch has found the way there, a second one would only wait for it.
    if (route === undefined || underWay.size >= maxBatches) return undefined;
    const fits = held.envelopes + limit <= pace.window() && held.bytes + maxBytes <= MAX_HELD_BYTES;
    return fits ? { limit, maxBytes } : undefined;
  }

  function begin(leased: readonly LeasedDelivery[]): void {
    const bytes = leased.reduce((sum, one) => sum + envelopeSize(one), 0);
    held = { envelopes: held.envelopes + leased.length, bytes: held.bytes + bytes };
    const attempt = deliver(leased)
      .catch((error: unknown) => {
        fault ??= error;
      })
      .finally(() => {
        underWay.delete(attempt);
        held = { envelopes: held.envelopes - leased.length, bytes: held.bytes - bytes };
        change.set();
      });
    underWay.add(attempt);
  }

  async function deliver(leased: readonly LeasedDelivery[]): Promise<void> {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(options.deliveryTimeoutMs)]);
    try {
      route ??= await options.openRoute(domain, signal);
      change.set();
    } catch (error) {
      const timely = await settleUntried(leased, Number.POSITIVE_INFINITY);
      await failed(timely, error, performance.now());
      return;
    }
    const { maxEnvelopes, maxBytes, maxEnvelopeBytes } = route.limits();
    const timely = await settleUntried(leased, maxEnvelopeBytes);
    for (const part of partsOf(timely, maxEnvelopes, maxBytes)) await deliverPart(route, part, signal);
  }

  /** Settles what needs no attempt; answers with the rest. */
  async function settleUntried(
    leased: readonly LeasedDelivery[],
    maxEnvelopeBytes: number,
  ): Promise<readonly LeasedDelivery[]> {
    const timely: LeasedDelivery[] = [];
    const ended: Settlement[] = [];
    for (const one of leased) {
      const update = endsUntried(one, clock(), maxEnvelopeBytes);
      if (update === undefined) timely.push(one);
      else ended.push({ outboxId: one.outboxId, update });
    }
    await settle(ended);
    return timely;
  }

  async function deliverPart(
    way: DeliveryRoute,
    part: readonly LeasedDelivery[],
    signal: AbortSignal,
  ): Promise<void> {
    const sentAt = performance.now();
    let updates: Settlement[];
    try {
      const results = await way.deliver(part.map(toEnvelope), signal);
      const end = { now: clock(), random };
      updates = part.map((one, index) => ({
        outboxId: one.outboxId,
        update: updateAfterAnswer(one, results[index], end),
      }));
      const putOff = results.filter(({ outcome }) => outcome === DeliveryOutcome.RETRY_LATER);
      pace.answered({ envelopes: part.length, putOff: putOff.length, sentAt });
      if (pace.isPutOff()) {
        const asked = Math.min(...putOff.map(({ retryAfterMs }) => retryAfterMs));
        waitMs = Math.min(Math.max(asked, MIN_WAIT_MS), MAX_WAIT_MS);
      }
      answered = true;
    } catch (error) {
      await failed(part, error, sentAt);
      return;
    }
    await settle(updates);
  }

  /** A batch as a whole. When the node stops, what has no answer is given back as if it had not been tried. */
  async function failed(part: readonly LeasedDelivery[], error: unknown, sentAt: number): Promise<void> {
    if (stopping.aborted) return;
    failure ??= error;
    pace.failed(sentAt);
    const end = { now: clock(), random };
    await settle(
      part.map((one) => ({ outboxId: one.outboxId, update: updateAfterFailure(one, error, end) })),
    );
  }

  async function settle(results: readonly Settlement[]): Promise<void> {
    if (results.length === 0) return;
    for (const { update } of results) outcomes[update.kind] = (outcomes[update.kind] ?? 0) + 1;
    await settling.write(results);
  }

  return { wake: change.set, done: run() };
}

/** A batch in parts that a peer takes; mostly one. */
function partsOf(
  leased: readonly LeasedDelivery[],
  maxEnvelopes: number,
  maxBytes: number,
): readonly (readonly LeasedDelivery[])[] {
  const parts: LeasedDelivery[][] = [];
  let bytes = 0;
  for (const one of leased) {
    const size = envelopeSize(one);
    const part = parts.at(-1);
    if (part === undefined || part.length === maxEnvelopes || bytes + size > maxBytes) {
      parts.push([one]);
      bytes = size;
    } else {
      part.push(one);
      bytes += size;
    }
  }
  return parts;
}

/** Something that was said stays said until somebody has waited for it. */
function createLatch(): { set: () => void; wait: () => Promise<void> } {
  let said = Promise.withResolvers<void>();
  return {
    set: () => said.resolve(),
    async wait() {
      await said.promise;
      said = Promise.withResolvers<void>();
    },
  };
}

/** Writes what comes while a write is under way together in the next one. */
function createGroupedWrites<T>(commit: (items: readonly T[]) => Promise<void>) {
  let waiting: T[] = [];
  let next: Promise<void> | undefined;
  let current: Promise<unknown> = Promise.resolve();
  return {
    /** Resolves when the items are written. */
    write(items: readonly T[]): Promise<void> {
      waiting.push(...items);
      if (next === undefined) {
        const before = current;
        next = (async () => {
          await before;
          const group = waiting;
          waiting = [];
          next = undefined;
          await commit(group);
        })();
        current = next.catch(() => {});
      }
      return next;
    },
  };
}
