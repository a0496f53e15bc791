/**
 * What the primary process and its workers tell each other, as JSON over the channel that `child_process.fork` makes between
 * them. Either side runs the same version of this code, so nothing is checked here.
 */

import type { HostAndPort, RawOptions } from "../../config.ts";
import type { Hint } from "../../hints.ts";

/** What the primary tells a worker. */
export type ToWorker =
  /** Its first message. The worker puts the configuration together again, of the same sources and its own environment. */
  | {
      readonly kind: "start";
      /** From 1 to the number of workers; whoever takes the place of another has its number. */
      readonly worker: number;
      /** Where the primary listens, its port known. */
      readonly address: HostAndPort;
      readonly flags: RawOptions;
      readonly file: RawOptions;
    }
  /** Comes with a connection that the primary accepted and read nothing from. */
  | { readonly kind: "connection" }
  | { readonly kind: "reload-certificate" }
  | { readonly kind: "stop" }
  | HintMessage;

/** Hints that a worker gets. */
export type HintMessage =
  /** Of another worker; to be answered with `acted` and the same id. */
  | { readonly kind: "hints"; readonly id: number; readonly hints: readonly Hint[] }
  /** All others have acted on what this worker sent under the id. */
  | { readonly kind: "acted"; readonly id: number }
  /** Hints were left out, because so many were not acted on yet. */
  | { readonly kind: "gap" };

/** What a worker tells the primary. */
export type FromWorker =
  /** It can be given connections. */
  | { readonly kind: "ready"; readonly apiUrl: string }
  /** It could not start, and ends. */
  | { readonly kind: "failed"; readonly failure: WorkerFailure }
  /** It wants to end: the primary gives it no more connections and tells it to stop. */
  | { readonly kind: "leaving" }
  /** So many of its connections have closed since it last said so. */
  | { readonly kind: "closed"; readonly connections: number }
  /** For all others. */
  | { readonly kind: "hints"; readonly id: number; readonly hints: readonly Hint[] }
  | { readonly kind: "acted"; readonly id: number };

/** What of an error tells how the command ends and what it prints. */
export interface WorkerFailure {
  readonly name: string;
  readonly message: string;
  readonly reason?: string | undefined;
}

/** What of an error crosses the channel. */
export function failureOf(error: unknown): WorkerFailure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { reason } = error as { reason?: unknown };
  return {
    name: error.name,
    message: error.message,
    reason: typeof reason === "string" ? reason : undefined,
  };
}

/** An error that stands for one in another process. */
export function errorOf({ name, message, reason }: WorkerFailure): Error {
  return Object.assign(new Error(message), { name }, reason === undefined ? {} : { reason });
}
