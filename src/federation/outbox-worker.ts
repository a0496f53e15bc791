/**
 * The worker that empties the outbox (docs/protocol.md, section 6.3): it finds destinations with something due, and gives
 * them turns in which their shares are leased, delivered and settled. It may be killed at any instant: a lease runs out, the
 * share is delivered again, and the receiver answers DUPLICATE. Destinations that fail or were never tried have places of
 * their own, a batch at a time, so that hosts which hang, of which one account can name any number, hold up no others.
 */

import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { DestinationStanding, OutboxStore } from "../storage/stores.ts";
import { backoff } from "./backoff.ts";
import type { OpenRoute } from "./delivery-routes.ts";
import { PeerError } from "./errors.ts";
import { createPace, type Pace } from "./outbox-pace.ts";
import { describeFailure } from "./outbox-results.ts";
import { startTurn, type Turn, type TurnEnd } from "./outbox-turn.ts";

/** What the worker works with. */
export interface OutboxWorkerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly outbox: OutboxStore;
  readonly openRoute: OpenRoute;
  /** From 0 to below 1. */
  readonly random?: () => number;
  readonly leaseMs?: number;
  /** How often to look for work that nobody announced, in milliseconds. */
  readonly pollMs?: number;
  /** Destinations that are served side by side: half of them such as answer, a quarter untried, a quarter failing. */
  readonly maxDestinations?: number;
  /** How long a destination may keep its place while others wait for one, in milliseconds. */
  readonly turnMs?: number;
  /** How long one delivery may take, in milliseconds. */
  readonly deliveryTimeoutMs?: number;
  /** Failing destinations that are remembered; one that is forgotten is tried sooner than it would be. */
  readonly maxBreakers?: number;
}

/** A running worker. */
export interface OutboxWorker {
  /** Begins to work. */
  start(): void;
  /**
   * Says that something is due now. With a domain, that it is to be tried though it failed before: somebody thinks that it
   * is back. That counts once in ten seconds for each domain.
   */
  wake(retriedDomain?: string): void;
  /** Stops taking work, waits for what is under way up to `graceMs`, then aborts it and gives the leases back. */
  close(graceMs?: number): Promise<void>;
}

/** Failures in a row after which a destination is left alone for a while. */
const BREAKER_FAILURES = 3;
const RETRY_INTERVAL_MS = 10_000;
/** Looks for work are at least so far apart, in milliseconds: senders that come by the thousand share one. */
const LOOK_INTERVAL_MS = 5;
const MAX_PACES = 1_000;

/** In the order in which they are served. */
const STANDINGS: readonly DestinationStanding[] = ["ANSWERED", "UNTRIED", "FAILING"];

/** What is known of a destination that fails, or asks to be left alone. */
interface Breaker {
  failures: number;
  openUntil: number;
}

/** A destination that has a place. */
interface Service {
  readonly standing: DestinationStanding;
  readonly turn: Turn;
  readonly done: Promise<void>;
}

/** Makes a worker; it does nothing until it is started. */
export function createOutboxWorker(options: OutboxWorkerOptions): OutboxWorker {
  const { clock, log, outbox, openRoute } = options;
  const random = options.random ?? Math.random;
  const leaseMs = options.leaseMs ?? 60_000;
  const pollMs = options.pollMs ?? 2_000;
  const turnMs = options.turnMs ?? 10_000;
  const deliveryTimeoutMs = options.deliveryTimeoutMs ?? 30_000;

  const places = placesByStanding(options.maxDestinations ?? 16);
  const serving = new Map<string, Service>();
  // Anyone with an account can send to names that lead nowhere, each of which would stay here for good.
  const breakers = new LRUCache<string, Breaker>({ max: options.maxBreakers ?? 1_000 });
  const paces = new LRUCache<string, Pace>({ max: MAX_PACES });
  const retriedAt = new LRUCache<string, number>({ max: MAX_PACES });
  /** When a destination had its last turn, so that others come first. */
  const servedAt = new LRUCache<string, number>({ max: MAX_PACES });
  /** Standings of which a destination waits for a place. */
  const crowded = new Set<DestinationStanding>();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let lookAgain = false;
  let stopped = true;

  /** Finds destinations with something due and gives turns to as many as have a place. */
  async function look(): Promise<void> {
    lookAgain = false;
    lookedAt = performance.now();
    for (const standing of STANDINGS) await fillPlaces(standing);
  }

  async function fillPlaces(standing: DestinationStanding): Promise<void> {
    const taken = [...serving.values()].filter((one) => one.standing === standing).length;
    const free = places[standing] - taken;
    const now = clock();
    // With room for those that are passed over, and for some that had a turn lately and come last.
    const limit = places[standing] + free + breakers.size + serving.size;
    const found = await outbox.dueDestinations(standing, now, limit);
    if (stopped) return;
    for (const domain of found) serving.get(domain)?.turn.wake();
    const due = found.filter(
      (domain) => !serving.has(domain) && (breakers.get(domain)?.openUntil ?? 0) <= now,
    );
    if (due.length > free) crowded.add(standing);
    else crowded.delete(standing);
    due.sort((a, b) => (servedAt.get(a) ?? 0) - (servedAt.get(b) ?? 0));
    for (const domain of due.slice(0, free)) serve(domain, standing);
  }

  function serve(domain: string, standing: DestinationStanding): void {
    const pace = paces.get(domain) ?? createPace();
    paces.set(domain, pace);
    const until = performance.now() + turnMs;
    const mayGoOn = (batches: number): boolean => {
      if (stopped || batches === 0) return !stopped;
      return standing === "ANSWERED" && (!crowded.has(standing) || performance.now() < until);
    };
    const turn = startTurn(domain, {
      clock,
      log,
      outbox,
      openRoute,
      random,
      leaseMs,
      deliveryTimeoutMs,
      pace,
      mayGoOn,
      stopping: stopping.signal,
    });
    const done = turn.done
      .then((end) => judge(domain, end))
      .catch((error: unknown) => {
        log.error({ err: error, domain }, "outbox: destination could not be served");
        // Whatever ails this node is not to be asked for again and again without a pause.
        trip(domain, { failures: BREAKER_FAILURES, waitMs: 0 });
      })
      .finally(() => {
        serving.delete(domain);
        servedAt.set(domain, performance.now());
        schedule(0);
      });
    serving.set(domain, { standing, turn, done });
  }

  /** What a turn says about its destination. */
  function judge(domain: string, { answered, failure, waitMs }: TurnEnd): void {
    if (failure === undefined) {
      if (answered) breakers.delete(domain);
      if (waitMs > 0) breakers.set(domain, { failures: 0, openUntil: clock() + waitMs });
      return;
    }
    const failures = (answered ? 0 : (breakers.get(domain)?.failures ?? 0)) + 1;
    trip(domain, { failures, waitMs: failure instanceof PeerError ? (failure.retryAfterMs ?? 0) : 0 });
    const fields = { domain, failures, reason: describeFailure(failure) };
    if (failure instanceof PeerError) log.warn(fields, "outbox: delivery failed");
    else log.error({ ...fields, err: failure }, "outbox: delivery failed inside this node");
  }

  function trip(
    domain: string,
    { failures, waitMs }: { readonly failures: number; readonly waitMs: number },
  ): void {
    const wait = failures < BREAKER_FAILURES ? 0 : Math.max(waitMs, backoff(failures, random));
    breakers.set(domain, { failures, openUntil: wait === 0 ? 0 : clock() + wait });
  }

  function forgive(domain: string): void {
    const breaker = breakers.get(domain);
    if (breaker === undefined) return;
    const now = clock();
    if (now < (retriedAt.get(domain) ?? Number.NEGATIVE_INFINITY) + RETRY_INTERVAL_MS) return;
    retriedAt.set(domain, now);
    breaker.openUntil = 0;
  }

  function schedule(delayMs: number): void {
    if (stopped) return;
    clearTimeout(timer);
    const earliest = lookedAt + LOOK_INTERVAL_MS - performance.now();
    timer = setTimeout(run, Math.max(delayMs, earliest, 0));
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
    wake(retriedDomain) {
      if (stopped) return;
      if (retriedDomain !== undefined) forgive(retriedDomain);
      if (looking) lookAgain = true;
      else schedule(0);
    },
    async close(graceMs = 8_000) {
      stopped = true;
      clearTimeout(timer);
      for (const { turn } of serving.values()) turn.wake();
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
