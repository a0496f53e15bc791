/**
 * Whether this node may be given calls, and gRPC's standard service that says so (grpc.health.v1; its meaning is in gRPC's
 * doc/health-checking.md). A node serves as a whole: what is true of it is true of each of its services.
 */

import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import type { Logger } from "../logger.ts";
import { callerKey } from "./context.ts";
import { serviceError } from "./errors.ts";
import { createStreamPlaces } from "./stream-places.ts";

/** Open Watch streams of one source prefix in one process: a prefix may be a cluster, of which every member watches. */
export const MAX_HEALTH_WATCHES_PER_SOURCE = 256;

/** Whether a node serves. */
export interface NodeHealth {
  /** False while the database does not answer, and from `stop` on. However many ask, the database is asked once a while. */
  isServing(): Promise<boolean>;
  /** Whether `stop` was called. */
  readonly stopped: boolean;
  /** Resolves when it is time to ask again: at the next poll, at `stop`, or when the signal fires. */
  nextLook(signal: AbortSignal): Promise<void>;
  /** Comes to watch: `stop` waits for whoever watches to be told, until the returned function is called. */
  enter(): () => void;
  /** Nothing serves any more. Resolves when all who watch were told and have left, or after a moment. */
  stop(): Promise<void>;
}

/** What the health of a node is made of. */
export interface NodeHealthOptions {
  /** Resolves if the database answers. */
  readonly checkDatabase: () => Promise<void>;
  /** How often whoever watches looks, in milliseconds; an answer of the database counts for half of that. */
  readonly pollMs: number;
  /** How long the database has for its answer, in milliseconds. */
  readonly answerMs?: number;
  readonly log: Logger;
}

const ANSWER_MS = 3_000;
/** How long a stop waits for those who watch: their connections may be dead. */
const FAREWELL_MS = 500;
const SHUTDOWN_RETRY_MS = 1_000;

/** Makes the health of a node that runs. */
export function createNodeHealth(options: NodeHealthOptions): NodeHealth {
  const { checkDatabase, pollMs, answerMs = ANSWER_MS, log } = options;
  const stopping = new AbortController();
  const allLeft = Promise.withResolvers<void>();
  let watching = 0;
  let check: Promise<void> | undefined;
  let latest: { readonly at: number; readonly answers: Promise<boolean> } | undefined;
  let answered = true;

  /** Asks the database. A question that it does not answer is not followed by another one. */
  async function databaseAnswers(): Promise<boolean> {
    check ??= checkDatabase().finally(() => {
      check = undefined;
    });
    try {
      await within(answerMs, check);
      answered = true;
    } catch (error) {
      if (answered)
        log.warn({ err: error }, "the database does not answer: this node reports that it does not serve");
      answered = false;
    }
    return answered;
  }

  return {
    async isServing() {
      if (stopping.signal.aborted) return false;
      const now = performance.now();
      if (latest === undefined || now - latest.at >= pollMs / 2)
        latest = { at: now, answers: databaseAnswers() };
      return (await latest.answers) && !stopping.signal.aborted;
    },
    get stopped() {
      return stopping.signal.aborted;
    },
    nextLook: (signal) => pause(pollMs, [signal, stopping.signal]),
    enter() {
      watching += 1;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        watching -= 1;
        if (watching === 0 && stopping.signal.aborted) allLeft.resolve();
      };
    },
    async stop() {
      stopping.abort();
      if (watching > 0) await Promise.race([allLeft.promise, pause(FAREWELL_MS, [])]);
    },
  };
}

/** Makes the service. `services` are the type names of those that the node has; "" is the node itself. */
export function createHealthService(
  health: NodeHealth,
  services: readonly string[],
): ServiceImpl<typeof Health> {
  const known: ReadonlySet<string> = new Set(["", ...services]);
  const places = createStreamPlaces<string>(MAX_HEALTH_WATCHES_PER_SOURCE, "a source");
  return {
    async check({ service }) {
      if (!known.has(service)) {
        throw serviceError(
          "SERVICE_UNKNOWN",
          "this node has no service of that name: its full name has the package",
        );
      }
      return { status: await nodeStatus() };
    },

    async list() {
      const status = await nodeStatus();
      return { statuses: Object.fromEntries(Array.from(known, (name) => [name, { status }])) };
    },

    async *watch({ service }, call) {
      const release = places.take(call.values.get(callerKey).sourcePrefix);
      const leave = health.enter();
      const end = () => {
        release();
        leave();
      };
      // A generator that waits to be read on does not notice that its reader has gone.
      call.signal.addEventListener("abort", end);
      try {
        yield* changes(service, call);
      } finally {
        call.signal.removeEventListener("abort", end);
        end();
      }
    },
  };

  /** What is known of a service, first at once and then whenever it is no longer what was told. */
  async function* changes(service: string, { signal }: HandlerContext) {
    let told: ServingStatus | undefined;
    for (;;) {
      // Before the look: what is told last is what was seen after the stop.
      const { stopped } = health;
      const status = known.has(service) ? await nodeStatus() : ServingStatus.SERVICE_UNKNOWN;
      if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
      if (status !== told) yield { status };
      told = status;
      if (stopped) {
        const message = "this node is stopping: watch again";
        throw serviceError("SHUTTING_DOWN", message, { retryAfterMs: SHUTDOWN_RETRY_MS });
      }
      await health.nextLook(signal);
    }
  }

  async function nodeStatus(): Promise<ServingStatus> {
    return (await health.isServing()) ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }
}

/** The promise's result. @throws Error when it takes longer than `ms`. */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after `ms`, or when one of the signals fires. */
async function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  const timer = setTimeout(wake, ms);
  for (const signal of signals) signal.addEventListener("abort", wake);
  await promise;
  clearTimeout(timer);
  for (const signal of signals) signal.removeEventListener("abort", wake);
}
