/** The process of our own load generator: takes a job, does it, tells what came, holds the connections until it is told. */

import { startHttp1 } from "./http1-load.ts";
import { startHttp2 } from "./http2-load.ts";
import type { LoadJob, OwnLoadResult } from "./load.ts";

/** An open connection to the server under load. */
export interface LoadConnection {
  readonly localPort: number;
  /** Right answers so far. */
  readonly calls: number;
  /** Begins to ask, and asks again after each answer. */
  start(): void;
  close(): void;
}

/** What a connection tells while it works. */
export interface LoadEvents {
  /** Whether another call may be begun. */
  readonly goOn: () => boolean;
  /** A right answer came, that long after its call. */
  readonly answered: (ms: number) => void;
  /** The last call that was begun is answered. */
  readonly idle: () => void;
  /** An answer was wrong, or the connection broke. */
  readonly failed: (problem: string) => void;
}

let open: readonly LoadConnection[] = [];

process.on("message", ({ job, release }: { job?: LoadJob; release?: boolean }) => {
  if (release) {
    for (const connection of open) connection.close();
    process.send?.({});
  }
  if (job === undefined) return;
  run(job).then(
    (result) => process.send?.({ result }),
    (error: Error) => process.send?.({ error: error.message }),
  );
});
process.once("disconnect", () => process.exit());
process.send?.({});

async function run(job: LoadJob): Promise<OwnLoadResult> {
  const times: number[] = [];
  const { promise: end, resolve, reject } = Promise.withResolvers<void>();
  end.catch(() => {});
  let working = job.connections;
  let until = 0;
  const events: LoadEvents = {
    goOn: () => performance.now() < until,
    answered: (ms) => times.push(ms),
    idle() {
      working -= 1;
      if (working === 0) resolve();
    },
    failed: (problem) => reject(new Error(problem)),
  };
  const start = job.question.carrier === "grpc" ? startHttp2 : startHttp1;
  open = await Promise.all(Array.from({ length: job.connections }, () => start(job, events)));
  const began = performance.now();
  until = began + job.ms;
  for (const connection of open) connection.start();
  await end;
  const seconds = (performance.now() - began) / 1_000;
  const sorted = Float64Array.from(times).sort();
  const quantile = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
  return {
    calls: times.length,
    seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    connections: open.map(({ localPort, calls }) => ({ localPort, calls })),
  };
}
