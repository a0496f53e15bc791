/** A server in a process of its own: started, asked what it costs, ended. Costs come from proc(5), so this needs Linux. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createInterface } from "node:readline";

/** A running server. */
export interface ServerProcess {
  readonly pid: number;
  /** The object that it printed as its first line. */
  readonly said: Readonly<Record<string, unknown>>;
  /** Processor time of it and of all processes that it started, in seconds. */
  cpuSeconds(): number;
  /** @throws Error with what it said last, if it has ended by itself. */
  requireAlive(): void;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 30_000;

/**
 * Starts a Node program that prints one line of JSON when it is ready.
 *
 * @param core the processor that it is bound to, if any.
 * @throws Error with what it said last, if it ends before or is not ready in 30 s.
 */
export async function startServer(args: readonly string[], core?: number): Promise<ServerProcess> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  let lastWords = "";
  child.stderr.on("data", (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-2_000);
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
  const lines = createInterface(child.stdout);
  const first = await Promise.race([once(lines, "line"), ended.then(() => undefined)]);
  clearTimeout(timer);
  if (first === undefined) throw new Error(`a server did not start: ${lastWords.trim()}`);
  const pid = child.pid ?? 0;
  if (core !== undefined) pin(pid, core);
  return {
    pid,
    said: JSON.parse(String(first[0])) as Record<string, unknown>,
    cpuSeconds: () => [pid, ...descendants(pid)].reduce((sum, one) => sum + cpuSecondsOf(one), 0),
    requireAlive() {
      const { exitCode, signalCode } = child;
      if (exitCode === null && signalCode === null) return;
      throw new Error(`a server ended with ${exitCode ?? signalCode}: ${lastWords.trim()}`);
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Binds all threads of a process to one processor, where taskset(1) is installed. */
export function pin(pid: number, core: number): void {
  spawnSync("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" });
}

/** The processes that a process started, and those that they started. */
export function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** The TCP ports on 127.0.0.1 whose peers a process talks to: the other ends of its connections. */
export function peerPorts(pid: number): Set<number> {
  const inodes = new Set<string>();
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${descriptor}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const ports = new Set<number>();
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n").slice(1)) {
    const [, , remote = "", , , , , , , inode = ""] = line.trim().split(/\s+/);
    if (inodes.has(inode)) ports.add(Number.parseInt(remote.slice(remote.indexOf(":") + 1), 16));
  }
  return ports;
}

/** A descriptor may be gone before it is looked at. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Time on a processor of all threads, which the scheduler counts in nanoseconds. */
function cpuSecondsOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) => {
    const [onProcessor] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    return Number(onProcessor);
  });
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e9;
}
