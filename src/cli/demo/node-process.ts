/** A node of the demo: `keypears serve` as an operating-system process of its own, with a folder and a database of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { extname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

// The ports that no system gives to outgoing connections unless told to: Linux begins at 32768, others higher.
const FIRST_PORT = 10_240;
const FIRST_OUTGOING_PORT = 32_768;

/** A running node. */
export interface NodeProcess {
  readonly domain: string;
  readonly origin: string;
  readonly folder: string;
  readonly pid: number;
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>;
}

/** The tool's way in, at the root of a checkout and of the published package. */
const BIN = fileURLToPath(new URL("../../../bin/keypears.js", import.meta.url));
/** How long a node may take to answer, in milliseconds. */
const START_TIMEOUT_MS = 20_000;

/**
 * A port on loopback that nobody listens on. It is one below those that systems give to outgoing connections, which could
 * otherwise take it before it is listened on.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, FIRST_OUTGOING_PORT);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") continue;
      throw error;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Path of a module beside another: TypeScript in a checkout, JavaScript in the published package. */
export function sibling(moduleUrl: string, name: string): string {
  return fileURLToPath(new URL(`${name}${extname(moduleUrl)}`, moduleUrl));
}

/**
 * Starts a node and waits until it answers.
 *
 * @throws Error with the node's own last words when it does not.
 */
export async function startNode(options: {
  readonly domain: string;
  readonly port: number;
  readonly folder: string;
  /** Domain and origin of every node of the demo. */
  readonly resolve: ReadonlyMap<string, URL>;
  readonly difficulty: number;
}): Promise<NodeProcess> {
  const { domain, port, folder, resolve, difficulty } = options;
  const log = openSync(join(folder, "node.log"), "a", 0o600);
  const flags = [
    ["--dev"],
    ["--domain", domain],
    ["--listen", `127.0.0.1:${port}`],
    ["--data-dir", folder],
    ["--database", `sqlite:${join(folder, "node.db")}`],
    ["--creation-difficulty", String(difficulty)],
    ["--first-contact-difficulty", String(difficulty)],
    ["--log-format", "json"],
    ...Array.from(resolve, ([name, origin]) => ["--resolve", `${name}=${origin.origin}`]),
  ].flat();
  const child = spawn(process.execPath, [BIN, "serve", ...flags], {
    stdio: ["ignore", log, log],
  });
  const origin = `http://127.0.0.1:${port}`;
  try {
    await untilHealthy(child, origin);
  } catch (error) {
    child.kill("SIGKILL");
    const words = await readFile(join(folder, "node.log"), "utf8");
    throw new Error(`the node of ${domain} did not start: ${words.trim().split("\n").at(-1) ?? ""}`, {
      cause: error,
    });
  }
  return { domain, origin, folder, pid: child.pid ?? 0, stop: () => stop(child) };
}

async function untilHealthy(child: ChildProcess, origin: string): Promise<void> {
  const until = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    const answer = await fetch(`${origin}/healthz`).catch(() => undefined);
    if (answer?.ok) return;
    await delay(30);
  }
  throw new Error(`no answer within ${START_TIMEOUT_MS} ms`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
