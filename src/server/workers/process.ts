/** A worker as the primary sees it: a process, the connections and hints that go there, and its end. */

import { fork } from "node:child_process";
import { once } from "node:events";
import module from "node:module";
import { dirname, extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { HintRelay, RelaySeat } from "./hint-relay.ts";
import { errorOf, type FromWorker, failureOf, type ToWorker, type WorkerFailure } from "./messages.ts";
import type { PortSeat, SharedPort } from "./shared-port.ts";

/** A worker's process. */
export interface Worker {
  readonly pid: number | undefined;
  /** Resolves with the API URL when it answers. @throws why it could not start. */
  readonly ready: Promise<string>;
  readonly ended: Promise<Ending>;
  send(message: ToWorker): void;
  /** Asks it to finish what is in flight and end; kills it when that takes much longer than it may. */
  stop(): void;
  kill(): void;
}

/** How a worker ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it said of why it could not start. */
  readonly failure: WorkerFailure | undefined;
  readonly wasReady: boolean;
  readonly livedMs: number;
}

/** What a worker is connected to. */
export interface WorkerSurroundings {
  readonly port: SharedPort;
  readonly relay: HintRelay;
  /** Module that it runs. */
  readonly entry?: string | undefined;
}

/** A node closes within 10 seconds. */
const STOP_MS = 15_000;
/** TypeScript in a checkout, JavaScript in the published package. */
const ENTRY = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));

/** Starts a worker; it takes part once it is ready. */
export function startWorker(
  message: Extract<ToWorker, { kind: "start" }>,
  { port, relay, entry = ENTRY }: WorkerSurroundings,
): Worker {
  const child = fork(entry, [], {
    env: { ...process.env, ...compileCache() },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const startedAt = performance.now();
  const ready = Promise.withResolvers<string>();
  ready.promise.catch(() => {}); // of a replacement only the end is looked at
  let failure: WorkerFailure | undefined;
  let portSeat: PortSeat | undefined;
  let relaySeat: RelaySeat | undefined;
  let killing: NodeJS.Timeout | undefined;

  child.on("message", (said: FromWorker) => {
    switch (said.kind) {
      case "ready":
        // First the hints: once it answers callers it has something that can grow old.
        relaySeat = relay.join(send);
        portSeat = port.join((socket) => child.send({ kind: "connection" }, socket, lost));
        ready.resolve(said.apiUrl);
        break;
      case "failed":
        failure = said.failure;
        break;
      case "leaving":
        stop();
        break;
      case "closed":
        portSeat?.closed(said.connections);
        break;
      default:
        relaySeat?.receive(said);
    }
  });
  child.on("error", (error) => {
    failure ??= failureOf(error);
  });
  send(message);
  return {
    pid: child.pid,
    ready: ready.promise,
    ended: end(),
    send,
    stop,
    kill: () => child.kill("SIGKILL"),
  };

  function send(message: ToWorker): void {
    if (child.connected) child.send(message, lost);
  }

  function stop(): void {
    portSeat?.leave();
    send({ kind: "stop" });
    killing ??= setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  }

  async function end(): Promise<Ending> {
    // Without a process there is no such event. With one it comes after the last message, which `exit` need not.
    const [code, signal] = child.pid === undefined ? [null, null] : await once(child, "close");
    clearTimeout(killing);
    portSeat?.leave();
    relaySeat?.leave();
    const ending = {
      code,
      signal,
      failure,
      wasReady: relaySeat !== undefined,
      livedMs: performance.now() - startedAt,
    };
    ready.reject(reasonOf(ending));
    return ending;
  }
}

/** Has workers use this process's cache of compiled code, if it has one. Node adds a folder for its version to either. */
function compileCache(): Readonly<Record<string, string>> {
  const folder = module.getCompileCacheDir();
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: dirname(folder) };
}

/** Why a worker could not start. */
export function reasonOf({ failure, code, signal }: Ending): Error {
  return failure
    ? errorOf(failure)
    : new Error(`a worker ended while it started (${signal ?? `exit code ${code}`})`);
}

/** What is sent to a worker that dies is lost with it; its end is seen otherwise. */
function lost(): void {}
