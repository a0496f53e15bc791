// The test's end of a hostile peer: starts it as an operating-system process of its own, and asks it to do things.

import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { PeerCommands, PeerRequest, PeerResponse } from "../e2e/peers/peer.ts";

/** A running peer. */
export interface PeerProcess {
  /** Has the peer do something. @throws Error with the peer's own words. */
  ask<Command extends keyof PeerCommands>(
    command: Command,
    ...options: Parameters<PeerCommands[Command]>
  ): ReturnType<PeerCommands[Command]>;
  stop(): Promise<void>;
}

const ENTRY = join(import.meta.dirname, "../e2e/peers/peer.ts");

/** Starts a peer; it listens nowhere until it is told to. */
export function startPeer(): PeerProcess {
  const child = fork(ENTRY, [], {
    serialization: "advanced",
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let words = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString("utf8")).slice(-4_096);
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let last = 0;
  child.on("message", ({ id, value, error }: PeerResponse) => {
    const answer = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) answer?.resolve(value);
    else answer?.reject(new Error(`the peer failed: ${error}`));
  });
  child.on("exit", (code) => {
    for (const answer of waiting.values()) answer.reject(new Error(`the peer ended with ${code}: ${words}`));
  });

  return {
    ask(command, ...[options]) {
      const answer = Promise.withResolvers<unknown>();
      const request: PeerRequest = { id: ++last, command, options };
      waiting.set(request.id, answer);
      child.send(request);
      return answer.promise as ReturnType<PeerCommands[typeof command]>;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}
