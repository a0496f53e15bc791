// A node as its operator runs it: `keypears serve`, an operating-system process that a test can stop, kill and start again.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** What became of a command. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A node's process, or its place while it is down. */
export interface ServedNode {
  readonly domain: string;
  readonly origin: string;
  /** The process; undefined while it is down. */
  readonly pid: number | undefined;
  /** Everything that it said on standard error, over all its lives. */
  words(): string;
  /** Starts it, and waits until it answers. */
  start(): Promise<void>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Ended>;
}

const COMMAND = join(import.meta.dirname, "../../bin/keypears.js");
const START_TIMEOUT_MS = 60_000;

/** A node that is not started yet; in development mode, with stamps that cost nothing. */
export function serveNode(options: {
  readonly domain: string;
  readonly port: number;
  readonly folder: string;
  readonly resolve?: ReadonlyMap<string, string>;
  /** `postgres://…`, which reaches it through its environment; SQLite in its folder unless given. */
  readonly database?: string | undefined;
  /** Further options of the command. */
  readonly flags?: readonly string[];
}): ServedNode {
  const { domain, port, folder, resolve = new Map(), database, flags = [] } = options;
  const origin = `http://127.0.0.1:${port}`;
  const args = [
    ["serve", "--dev", "--domain", domain, "--listen", `127.0.0.1:${port}`, "--data-dir", folder],
    ["--creation-difficulty", "1", "--first-contact-difficulty", "1", "--log-format", "json"],
    ["--max-first-contacts-per-day", "100000"],
    ...Array.from(resolve, ([name, at]) => ["--resolve", `${name}=${at}`]),
    flags,
  ].flat();
  let running: Command | undefined;
  let words = "";

  return {
    domain,
    origin,
    get pid() {
      return running?.child.pid;
    },
    words: () => words + (running?.output().stderr ?? ""),
    async start() {
      running = startCommand(args, database === undefined ? {} : { KEYPEARS_DATABASE: database });
      const until = Date.now() + START_TIMEOUT_MS;
      while (Date.now() < until && running.child.exitCode === null) {
        const answer = await fetch(`${origin}/healthz`).catch(() => undefined);
        if (answer?.ok) return;
        await delay(20);
      }
      throw new Error(`the node of ${domain} did not start: ${running.output().stderr}`);
    },
    async end(signal) {
      if (running === undefined) throw new Error(`the node of ${domain} is not running`);
      running.child.kill(signal);
      const ended = await running.ended;
      words += ended.stderr;
      running = undefined;
      return ended;
    },
  };
}

/** Runs the command to its end. */
export function runCommand(args: readonly string[]): Promise<Ended> {
  return startCommand(args).ended;
}

interface Command {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  output(): { readonly stdout: string; readonly stderr: string };
}

function startCommand(args: readonly string[], env: NodeJS.ProcessEnv = {}): Command {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const collected = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      collected[name] += chunk;
    });
  }
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...collected }) as Ended);
  return { child, ended, output: () => collected };
}
