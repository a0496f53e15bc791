/**
 * The worker that empties the outbox (docs/protocol.md, section 6.3): it groups what is due by destination, takes it under a
 * lease, delivers it, and writes what came of it, guarded by the lease. It may be killed at any instant: a lease runs out,
 * the share is delivered again, and the receiver answers DUPLICATE. Destinations that fail or were never tried have places
 * of their own, a batch at a time, so that hosts which hang, of which one account can name any number, hold up no others.
 */

import { create } from "@bufbuild/protobuf";
import { LRUCache } from "lru-cache";
import { type Envelope, EnvelopeSchema, StampSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcome, type DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import type { Clock } from "../clock.ts";
import { randomBytes, toHex } from "../crypto/bytes.ts";
import type { Logger } from "../logger.ts";
import { DELIVERY_WINDOW_MS, MAX_DELIVERY_ENVELOPES, MAX_REQUEST_BYTES } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type {
  DeliveryUpdate,
  DestinationStanding,
  EnvelopeRecord,
  LeasedDelivery,
  OutboxStore,
} from "../storage/stores.ts";
import { backoff } from "./backoff.ts";
import { PeerError } from "./errors.ts";

/** What the worker works with. */
export interface OutboxWorkerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly outbox: OutboxStore;
  /** Delivers a batch to a domain; throws when the domain as a whole cannot be reached. */
  readonly deliver: (
    domain: string,
    envelopes: readonly Envelope[],
    signal: AbortSignal,
  ) => Promise<readonly DeliveryResult[]>;
  /** From 0 to below 1. */
  readonly random?: () => number;
  readonly leaseMs?: number;
  /** How often to look for work that nobody announced, in milliseconds. */
  readonly pollMs?: number;
  /** Destinations that are served side by side: half of them such as answer, a quarter untried, a quarter failing. */
  readonly maxDestinations?: number;
  /** How long one delivery may take, in milliseconds. */
  readonly deliveryTimeoutMs?: number;
  /** Failing destinations that are remembered; one that is forgotten is tried sooner than it would be. */
  readonly maxBreakers?: number;
}

/** A running worker. */
export interface OutboxWorker {
  /** Begins to work. */
  start(): void;
  /** Says that something is due now. */
  wake(): void;
  /** Stops taking work, waits for what is under way up to `graceMs`, then aborts it and gives the leases back. */
  close(graceMs?: number): Promise<void>;
}

/** Room for what a request holds beside its envelopes, in bytes. */
const REQUEST_OVERHEAD_BYTES = 64 * 1024;
/** Failures in a row after which a destination is left alone for a while. */
const BREAKER_FAILURES = 3;

/** In the order in which they are served. */
const STANDINGS: readonly DestinationStanding[] = ["ANSWERED", "UNTRIED", "FAILING"];

/** What is known of a destination that fails. */
interface Breaker {
  failures: number;
  openUntil: number;
}

/** Makes a worker; it does nothing until it is started. */
export function createOutboxWorker(options: OutboxWorkerOptions): OutboxWorker {
  const { clock, log, outbox, deliver } = options;
  const random = options.random ?? Math.random;
  const leaseMs = options.leaseMs ?? 60_000;
  const pollMs = options.pollMs ?? 2_000;
  const maxDestinations = options.maxDestinations ?? 16;
  const deliveryTimeoutMs = options.deliveryTimeoutMs ?? 30_000;

  const places = placesByStanding(maxDestinations);
  const serving = new Map<string, { readonly standing: DestinationStanding; readonly done: Promise<void> }>();
  // Anyone with an account can send to names that lead nowhere, each of which would stay here for good.
  const breakers = new LRUCache<string, Breaker>({ max: options.maxBreakers ?? 1_000 });
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  let stopped = true;

  /** Finds destinations with something due and serves a batch of each that has a place. */
  async function look(): Promise<void> {
    do {
      lookAgain = false;
      for (const standing of STANDINGS) await fillPlaces(standing);
    } while (lookAgain && !stopped);
  }

  async function fillPlaces(standing: DestinationStanding): Promise<void> {
    const taken = [...serving.values()].filter((one) => one.standing === standing).length;
    let free = places[standing] - taken;
    if (free === 0) return;
    const now = clock();
    // With room for those that are passed over.
    for (const domain of await outbox.dueDestinations(standing, now, free + breakers.size + serving.size)) {
      if (stopped || free === 0) return;
      if (serving.has(domain) || (breakers.get(domain)?.openUntil ?? 0) > now) continue;
      free -= 1;
      const done = serve(domain)
        .catch((error: unknown) =>
          log.error({ err: error, domain }, "outbox: destination could not be served"),
        )
        .finally(() => {
          serving.delete(domain);
          schedule(0);
        });
      serving.set(domain, { standing, done });
    }
  }

  async function serve(domain: string): Promise<void> {
    const token = toHex(randomBytes(16));
    const leased = await outbox.lease({
      destination: domain,
      token,
      leaseMs,
      limit: MAX_DELIVERY_ENVELOPES,
      maxBytes: MAX_REQUEST_BYTES - REQUEST_OVERHEAD_BYTES,
    });
    if (leased.length > 0) await deliverLeased(domain, token, leased);
  }

  async function deliverLeased(
    domain: string,
    token: string,
    leased: readonly LeasedDelivery[],
  ): Promise<void> {
    const renewal = setInterval(() => {
      outbox
        .renew(token, leaseMs)
        .catch((error: unknown) => log.warn({ err: error, domain }, "outbox: lease could not be renewed"));
    }, leaseMs / 3);
    try {
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(deliveryTimeoutMs)]);
      const updates = await attempt(domain, leased, signal);
      if (updates) await outbox.settle(token, updates);
      else await outbox.release(token);
    } finally {
      clearInterval(renewal);
    }
  }

  /** One call, and what it means for each envelope; undefined if the worker stopped before there was an answer. */
  async function attempt(domain: string, leased: readonly LeasedDelivery[], signal: AbortSignal) {
    const timely = leased.filter(({ envelope }) => clock() < deadlineOf(envelope));
    const late = leased.filter((one) => !timely.includes(one));
    const overdue = late.map(({ outboxId }) => ({ outboxId, update: failed("not delivered in time") }));
    if (timely.length === 0) return overdue;
    try {
      const results = await deliver(domain, timely.map(toEnvelope), signal);
      breakers.delete(domain);
      const decided = timely.map((one, index) => ({
        outboxId: one.outboxId,
        update: interpret(one, results[index], clock(), random),
      }));
      log.info({ domain, envelopes: timely.length, ...tally(decided) }, "outbox: batch delivered");
      return [...overdue, ...decided];
    } catch (error) {
      if (stopping.signal.aborted) return undefined;
      const message = describe(error);
      const breaker = trip(domain, error);
      const fields = { domain, envelopes: timely.length, failures: breaker.failures, reason: message };
      if (error instanceof PeerError) log.warn(fields, "outbox: delivery failed");
      else log.error({ ...fields, err: error }, "outbox: delivery failed inside this node");
      return [
        ...overdue,
        ...timely.map((one) => ({
          outboxId: one.outboxId,
          update: retryOrFail(one, message, undefined, clock(), random),
        })),
      ];
    }
  }

  function trip(domain: string, error: unknown): Breaker {
    const breaker = breakers.get(domain) ?? { failures: 0, openUntil: 0 };
    breaker.failures += 1;
    if (breaker.failures >= BREAKER_FAILURES) {
      const asked = error instanceof PeerError ? (error.retryAfterMs ?? 0) : 0;
      breaker.openUntil = clock() + Math.max(asked, backoff(breaker.failures, random));
    }
    breakers.set(domain, breaker);
    return breaker;
  }

  function schedule(delayMs: number): void {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(run, delayMs);
  }

  function run(): void {
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = look()
      .catch((error: unknown) => log.error({ err: error }, "outbox: cannot look for work"))
      .then(async () => {
        const next = await outbox.nextDueAt().catch(() => undefined);
        looking = undefined;
        schedule(lookAgain ? 0 : untilNextLook(next));
      });
  }

  /** Until the next delivery falls due or the next breaker closes; what is due already waits for one of those. */
  function untilNextLook(nextDueAt: number | undefined): number {
    const now = clock();
    const ahead = [nextDueAt ?? 0, ...Array.from(breakers.values(), ({ openUntil }) => openUntil)];
    return Math.min(pollMs, ...ahead.filter((at) => at > now).map((at) => at - now));
  }

  return {
    start() {
      stopped = false;
      schedule(0);
    },
    wake() {
      if (!stopped) run();
    },
    async close(graceMs = 8_000) {
      stopped = true;
      clearTimeout(timer);
      const grace = setTimeout(() => stopping.abort(new Error("the node is stopping")), graceMs);
      await looking;
      await Promise.all(Array.from(serving.values(), ({ done }) => done));
      clearTimeout(grace);
    },
  };
}

/** A quarter of the places each for what was never tried and for what fails, the rest for what answers; one at least. */
function placesByStanding(places: number): Readonly<Record<DestinationStanding, number>> {
  const quarter = Math.max(1, Math.floor(places / 4));
  return { ANSWERED: Math.max(1, places - 2 * quarter), UNTRIED: quarter, FAILING: quarter };
}

/** Until when an envelope may be delivered, in Unix milliseconds. */
function deadlineOf(envelope: EnvelopeRecord): number {
  const window = envelope.createdAt + DELIVERY_WINDOW_MS;
  return envelope.expiresAt === 0 ? window : Math.min(window, envelope.expiresAt);
}

function toEnvelope({ envelope, stampNonce }: LeasedDelivery): Envelope {
  const { header, ciphertext, signature } = envelope;
  const message = create(EnvelopeSchema, { header, ciphertext, signature });
  if (stampNonce !== undefined) message.stamp = create(StampSchema, { nonce: stampNonce });
  return message;
}

function interpret(
  one: LeasedDelivery,
  result: DeliveryResult | undefined,
  now: number,
  random: () => number,
): DeliveryUpdate {
  if (result === undefined || !decides(result, one.envelope)) {
    const message = printable(result?.message ?? "") || "the answer leaves open what became of the share";
    return retryOrFail(one, message, result?.retryAfterMs, now, random);
  }
  return result.outcome === DeliveryOutcome.REJECTED
    ? { kind: "rejected", reason: result.rejectionReason, message: printable(result.message) }
    : { kind: "delivered" };
}

/**
 * Whether a result ends a delivery. It has to name the share: a peer that mixes up its answers must not make one share pass
 * for another. Only what was too malformed to have an id is refused without one.
 */
function decides({ outcome, shareId }: DeliveryResult, envelope: EnvelopeRecord): boolean {
  switch (outcome) {
    case DeliveryOutcome.ACCEPTED:
    case DeliveryOutcome.DUPLICATE:
      return sameBytes(shareId, envelope.shareId);
    case DeliveryOutcome.REJECTED:
      return shareId.length === 0 || sameBytes(shareId, envelope.shareId);
    default:
      return false;
  }
}

function retryOrFail(
  one: LeasedDelivery,
  message: string,
  retryAfterMs: number | undefined,
  now: number,
  random: () => number,
): DeliveryUpdate {
  const deadline = deadlineOf(one.envelope);
  if (now >= deadline) return failed(message || "not delivered in time");
  const wait = Math.max(backoff(one.attempts + 1, random), Math.min(retryAfterMs ?? 0, 3_600_000));
  return { kind: "retry", nextAttemptAt: Math.min(now + wait, deadline), message };
}

function failed(message: string): DeliveryUpdate {
  return { kind: "failed", message };
}

function describe(error: unknown): string {
  return error instanceof PeerError ? error.message : "the delivery failed inside this node";
}

/** A peer's words, as they are shown to the sender: one line of printable text, at most 300 characters. */
function printable(message: string): string {
  return message.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 300);
}

function tally(decided: readonly { update: DeliveryUpdate }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { update } of decided) counts[update.kind] = (counts[update.kind] ?? 0) + 1;
  return counts;
}
