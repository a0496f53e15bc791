/**
 * The primary process of a node with several workers. It opens the port, starts the workers, hands connections to them and
 * hints from each to all others, replaces those that die, and stops them. It serves nothing itself, and keeps no database
 * open. When it is killed, the port is free and the workers end.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { NodeConfig, RawOptions } from "../../config.ts";
import { createNodeLogger } from "../logging.ts";
import { type Node, openDatabase } from "../node.ts";
import { createHintRelay } from "./hint-relay.ts";
import { reasonOf, startWorker, type Worker } from "./process.ts";
import { openSharedPort } from "./shared-port.ts";

/** Of what the workers put the same configuration together again. */
export interface WorkersOptions {
  readonly flags: RawOptions;
  readonly file: RawOptions;
  /** Module that the workers run, in place of the node's own: for tests. */
  readonly entry?: string;
}

/** A node whose workers live in other processes. */
export interface SupervisedNode extends Node {
  /** Rejects once no worker is left and none can be started. It then still has to be closed. */
  readonly failed: Promise<never>;
}

/** How often in a row a worker may fail to start, while no other one serves, before the primary gives up. */
const MAX_FAILED_STARTS = 5;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;
/** A worker that has lived this long did not die of how it was started. */
const STEADY_MS = 60_000;
const SIGTERM_EXIT_CODE = 128 + 15;

/**
 * Starts a node of `config.workers` processes. When the promise resolves, all of them answer.
 *
 * @throws what `createNode` throws, from wherever it came.
 */
export async function startWorkers(config: NodeConfig, options: WorkersOptions): Promise<SupervisedNode> {
  const log = await createNodeLogger(config);
  for (const warning of config.warnings) log.warn({}, warning);
  // Here, so that what is wrong with the database is told once, and the workers find its tables up to date.
  await (await openDatabase(config)).close();
  const port = await openSharedPort(config.listen, log);

  const { address } = port;
  const relay = createHintRelay();
  const running = new Set<Worker>();
  const stopping = new AbortController();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {}); // whoever started the node decides when to look

  const killAll = () => {
    for (const worker of running) worker.kill();
  };
  process.on("exit", killAll);

  const first = Array.from({ length: config.workers }, (_, index) => start(index + 1));
  let apiUrl: string | undefined;
  try {
    [apiUrl] = await Promise.all(first.map(({ ready }) => ready));
  } catch (error) {
    port.close();
    killAll();
    await Promise.all(first.map(({ ended }) => ended));
    process.off("exit", killAll);
    throw error;
  }
  const supervised = first.map((worker, index) => supervise(index + 1, worker));
  log.info(
    { domains: config.domains, ...address, apiUrl, tls: config.tls !== undefined, workers: config.workers },
    "listening",
  );

  let closed: Promise<void> | undefined;
  return {
    address,
    apiUrl: apiUrl ?? "",
    log,
    failed: failed.promise,
    async reloadCertificate() {
      for (const worker of running) worker.send({ kind: "reload-certificate" });
    },
    close() {
      closed ??= close();
      return closed;
    },
  };

  function start(number: number): Worker {
    const { flags, file, entry } = options;
    const worker = startWorker(
      { kind: "start", worker: number, address, flags, file },
      { port, relay, entry },
    );
    running.add(worker);
    void worker.ended.then(() => running.delete(worker));
    log.info({ worker: number, pid: worker.pid }, "worker started");
    return worker;
  }

  /** Replaces a worker for as long as the node runs. */
  async function supervise(number: number, first: Worker): Promise<void> {
    let deaths = 0;
    let failedStarts = 0;
    for (let worker = first; ; worker = start(number)) {
      const ending = await worker.ended;
      if (stopping.signal.aborted) return;
      deaths = ending.livedMs >= STEADY_MS ? 1 : deaths + 1;
      failedStarts = ending.wasReady ? 0 : failedStarts + 1;
      if (failedStarts >= MAX_FAILED_STARTS && port.seats === 0) {
        failed.reject(reasonOf(ending));
        return;
      }
      const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (deaths - 1));
      const { code, signal } = ending;
      const fields = {
        worker: number,
        pid: worker.pid,
        code,
        signal,
        reason: ending.failure?.message,
        delayMs,
      };
      if (code === 0) log.info(fields, "worker left and is replaced");
      else log.error(fields, "worker died and is replaced");
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
    }
  }

  async function close(): Promise<void> {
    log.info({}, "stopping");
    stopping.abort();
    port.close();
    const endAtOnce = () => process.exit(SIGTERM_EXIT_CODE);
    process.on("SIGTERM", endAtOnce);
    for (const worker of running) worker.stop();
    await Promise.all(supervised);
    process.off("SIGTERM", endAtOnce);
    process.off("exit", killAll);
    log.info({}, "stopped");
  }
}
