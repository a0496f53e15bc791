/**
 * Puts a server under load from a process of its own, and says how many right answers came how fast. h2load (nghttp2) and wrk
 * do it where they are installed; else the generators beside this file, which see to every byte and are faster than any
 * server in Node.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { pin } from "./process.ts";
import type { Question } from "./question.ts";
import { h2load, isInstalled, wrk } from "./tools.ts";

/** What is asked, how, and for how long. */
export interface LoadJob {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly question: Question;
  readonly connections: number;
  /** Calls in flight on each connection; over HTTP/1.1 always one. */
  readonly streams: number;
  /** Whole milliseconds during which calls are begun. */
  readonly ms: number;
}

/** What came back. */
export interface LoadResult {
  /** Right answers. */
  readonly calls: number;
  /** From the first call to the last answer. */
  readonly seconds: number;
  /** Time from a call to its answer, in milliseconds: the median, and what one in a hundred exceeds. */
  readonly p50: number;
  readonly p99: number;
}

/** Right answers on one connection. */
export interface ConnectionCalls {
  /** TCP port of the generator's end. */
  readonly localPort: number;
  readonly calls: number;
}

/** What our own generator tells beside. */
export interface OwnLoadResult extends LoadResult {
  readonly connections: readonly ConnectionCalls[];
}

/** A load generator. */
export interface Generator {
  /** Which one it is, for people. */
  readonly name: string;
  /** @throws Error if one answer was wrong. */
  run(job: LoadJob): Promise<LoadResult>;
}

/** Our own generator: a process that waits for jobs. */
export interface OwnGenerator extends Generator {
  /** Called when all connections stand and the work is done, while they are still open. */
  run(job: LoadJob, whileOpen?: (result: OwnLoadResult) => void): Promise<OwnLoadResult>;
  close(): void;
}

/** The generators for gRPC and for JSON, on one core if it is given: tools that are installed, or else our own. */
export function generators(
  own: OwnGenerator,
  core?: number,
): { readonly grpc: Generator; readonly json: Generator } {
  return {
    grpc: isInstalled("h2load") ? { name: "h2load", run: (job) => h2load(job, core) } : own,
    json: isInstalled("wrk") ? { name: "wrk", run: (job) => wrk(job, core) } : own,
  };
}

/** Starts our own generator, on a core of its own if one is given. */
export async function startGenerator(core?: number): Promise<OwnGenerator> {
  const child = fork(fileURLToPath(new URL("load-process.ts", import.meta.url)), {
    serialization: "advanced",
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await nextMessage(child);
  if (core !== undefined && child.pid !== undefined) pin(child.pid, core);
  return {
    name: "the generator of this repository",
    async run(job, whileOpen) {
      child.send({ job });
      const answer = (await nextMessage(child)) as { result?: OwnLoadResult; error?: string };
      if (answer.result !== undefined) whileOpen?.(answer.result);
      child.send({ release: true });
      await nextMessage(child);
      if (answer.result === undefined) throw new Error(answer.error ?? "the load generator failed");
      return answer.result;
    },
    close: () => child.kill(),
  };
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const left = new AbortController();
  const ended = once(child, "exit", { signal: left.signal }).then(() => {
    throw new Error("the load generator ended");
  });
  ended.catch(() => {});
  try {
    const [message] = await Promise.race([once(child, "message", { signal: left.signal }), ended]);
    return message;
  } finally {
    left.abort();
  }
}
