/**
 * The unlock agent, a process of its own: holds one account key in memory and hands it to this user's commands, until it is
 * told to lock, its time is up, or its socket is no longer its own. Takes the socket's path as argument and the key, as one
 * line, on standard input; says `ready` on standard output when it listens.
 */

import { chmodSync, lstatSync, renameSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import {
  AGENT_PROTOCOL,
  type AgentAnswer,
  type AgentRequest,
  type AgentSecret,
  LINE_TIMEOUT_MS,
  MAX_LINE_BYTES,
} from "./protocol.ts";

/** How often the agent looks at the clock, which a sleeping machine's timers do not follow, and at its socket. */
const CHECK_MS = 1_000;
const MAX_CONNECTIONS = 64;

process.umask(0o077);
const path = process.argv[2] ?? "";
const { address, sessionId, lockAt, ...secret } = JSON.parse(await readLine(process.stdin)) as AgentSecret;
const accountKey = Buffer.from(secret.accountKey, "base64");

const server = createServer((socket) => void serve(socket));
server.maxConnections = MAX_CONNECTIONS;
const starting = `${path}.${process.pid}`;
await new Promise<void>((resolve, reject) => {
  server.once("error", reject);
  server.listen(starting, resolve);
});
chmodSync(starting, 0o600);
const { ino } = lstatSync(starting);
renameSync(starting, path); // takes the place of another agent's, or of one that was left behind

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, lock);
setInterval(() => {
  if (Date.now() >= lockAt || !isOwnSocket()) lock();
}, CHECK_MS);
process.stdout.on("error", () => undefined); // whoever started the agent may be gone
process.stdout.write("ready\n");

async function serve(socket: Socket): Promise<void> {
  socket.setTimeout(LINE_TIMEOUT_MS, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  const request = parse(await readLine(socket));
  const locks = request?.op === "lock" && request.v === AGENT_PROTOCOL;
  socket.end(`${JSON.stringify(answer(request))}\n`);
  if (locks) lock();
}

function answer(request: AgentRequest | undefined): AgentAnswer {
  const v = AGENT_PROTOCOL;
  if (request === undefined) return { v, ok: false, reason: "MALFORMED" };
  if (request.v !== AGENT_PROTOCOL) return { v, ok: false, reason: "VERSION" };
  if (request.op === "lock") return { v, ok: true };
  if (request.op !== "key") return { v, ok: false, reason: "MALFORMED" };
  if (Date.now() >= lockAt) {
    lock();
    return { v, ok: false, reason: "OTHER_ACCOUNT" };
  }
  if (request.address !== address || request.sessionId !== sessionId) {
    return { v, ok: false, reason: "OTHER_ACCOUNT" };
  }
  return { v, ok: true, accountKey: accountKey.toString("base64"), lockAt };
}

/** Wipes the key and ends. What is being answered still leaves. */
function lock(): void {
  accountKey.fill(0);
  if (isOwnSocket()) rmSync(path, { force: true });
  server.close(() => process.exit());
  setTimeout(() => process.exit(), LINE_TIMEOUT_MS).unref();
}

function isOwnSocket(): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.ino === ino;
}

function parse(line: string): AgentRequest | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as AgentRequest) : undefined;
  } catch {
    return undefined;
  }
}

/** The first line of a stream, without its end; what came if the stream ends before it or grows too long. */
async function readLine(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE_BYTES) resolve("");
    });
    stream.on("end", () => resolve(text));
    stream.on("close", () => resolve(text));
  });
}
