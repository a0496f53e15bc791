/** Asks the unlock agent for the account key, starts it and ends it. */

import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import type { Credentials } from "../../client/sign-in.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { codeOf, makePrivateFolder, requirePrivateFolder } from "../private-files.ts";
import {
  AGENT_PROTOCOL,
  type AgentAnswer,
  type AgentRequest,
  type AgentSecret,
  LINE_TIMEOUT_MS,
  MAX_LINE_BYTES,
} from "./protocol.ts";
import { agentSocket } from "./socket-path.ts";

/** An account key that the agent handed out. */
export interface UnlockedKey {
  /** 32 bytes. */
  readonly accountKey: Uint8Array;
  /** When the agent locks itself, in Unix milliseconds. */
  readonly lockAt: number;
}

/** The account key of a profile that is unlocked; undefined if it is not. */
export async function askAgent(profile: string, credentials: Credentials): Promise<UnlockedKey | undefined> {
  const { address, sessionId } = credentials;
  const answer = await request(profile, { v: AGENT_PROTOCOL, op: "key", address, sessionId });
  if (!answer?.ok || answer.accountKey === undefined) return undefined;
  return { accountKey: new Uint8Array(Buffer.from(answer.accountKey, "base64")), lockAt: answer.lockAt ?? 0 };
}

/** Ends the agent of a profile; false if there is none. When it resolves, the key is gone. */
export async function lockAgent(profile: string): Promise<boolean> {
  return (await request(profile, { v: AGENT_PROTOCOL, op: "lock" })) !== undefined;
}

/**
 * Starts an agent that outlives this process. The key goes through a pipe: arguments and environment of a process can be
 * read by others.
 *
 * @throws CliError `AGENT_FAILED`.
 */
export async function startAgent(
  profile: string,
  credentials: Credentials,
  accountKey: Uint8Array,
  lockAt: number,
): Promise<void> {
  const { folder, path } = agentSocket(profile);
  makePrivateFolder(folder);
  await lockAgent(profile);
  const program = new URL(import.meta.url.endsWith(".ts") ? "./main.ts" : "./main.js", import.meta.url);
  const agent = spawn(process.execPath, [fileURLToPath(program), path], {
    detached: true,
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "ignore"],
  });
  const secret: AgentSecret = {
    v: AGENT_PROTOCOL,
    address: credentials.address,
    sessionId: credentials.sessionId,
    accountKey: Buffer.from(accountKey).toString("base64"),
    lockAt,
  };
  const ready = await new Promise<boolean>((resolve) => {
    agent.once("error", () => resolve(false));
    agent.once("exit", () => resolve(false));
    agent.stdin.on("error", () => resolve(false));
    agent.stdout.once("data", () => resolve(true));
    agent.stdin.end(`${JSON.stringify(secret)}\n`);
  });
  agent.stdout.destroy();
  agent.unref();
  if (!ready) {
    throw new CliError("AGENT_FAILED", EXIT.unexpected, "the unlock agent did not start", "try again");
  }
}

/** One request; undefined if no agent listens. A socket that nobody listens on is removed. */
async function request(profile: string, line: AgentRequest): Promise<AgentAnswer | undefined> {
  const { folder, path } = agentSocket(profile);
  if (!requirePrivateFolder(folder)) return undefined;
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let received = "";
    socket.setEncoding("utf8");
    socket.setTimeout(LINE_TIMEOUT_MS, () => socket.destroy(agentFault("gives no answer")));
    socket.on("connect", () => socket.write(`${JSON.stringify(line)}\n`));
    socket.on("data", (text: string) => {
      received += text;
      if (received.length > MAX_LINE_BYTES) socket.destroy(agentFault("answers with too much"));
    });
    socket.on("error", (error) => {
      const code = codeOf(error);
      if (code === "ECONNREFUSED") rmSync(path, { force: true }); // an agent that was killed leaves its socket behind
      if (code === "ECONNREFUSED" || code === "ENOENT" || code === "ECONNRESET") resolve(undefined);
      else reject(error);
    });
    socket.on("end", () => {
      try {
        resolve(received === "" ? undefined : (JSON.parse(received) as AgentAnswer));
      } catch {
        reject(agentFault("answers with something else"));
      }
    });
  });
}

function agentFault(what: string): CliError {
  return new CliError("AGENT_FAILED", EXIT.unexpected, `the unlock agent ${what}`, "lock and unlock again");
}
