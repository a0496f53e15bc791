/** The test's end of the server that hostile clients meet, and a caller who behaves while they do not. */

import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { GetKeySetRequestSchema, KeySetService } from "../../../gen/keypears/v1/key_set_service_pb.ts";
import { envelope } from "../wire.ts";
import type { TargetOptions, TargetState } from "./target.ts";

/** A server in another process. */
export interface Target {
  readonly port: number;
  state(): Promise<TargetState>;
}

export const MEBIBYTE = 1024 * 1024;
const ENTRY = join(import.meta.dirname, "target.ts");
const BODY_BYTES = 10_000;
const POLL_MS = 50;
const WARM_UP_MS = 500;

/** Starts a server that ends with its test. */
export async function startTarget(options: TargetOptions = {}): Promise<Target> {
  const child = fork(ENTRY, [], { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the server ended: ${code ?? signal}`);
  });
  // Whoever waits for the server hears of it.
  ended.catch(() => {});
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended.catch(() => {});
  });
  const next = async (): Promise<TargetState> => {
    const state = await Promise.race([new Promise((resolve) => child.once("message", resolve)), ended]);
    return state as TargetState;
  };
  child.send(options);
  const { port } = await next();
  return {
    port,
    state() {
      const state = next();
      child.send("report");
      return state;
    },
  };
}

/** The body of a gRPC call to GetKeySet. */
export function callBody(request: MessageInitShape<typeof GetKeySetRequestSchema>): Uint8Array {
  return envelope(toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, request)));
}

/** Waits until the server is as it should be, for as long as the test may last. */
export async function until(target: Target, is: (state: TargetState) => boolean): Promise<TargetState> {
  for (;;) {
    const state = await target.state();
    if (is(state)) return state;
    await sleep(POLL_MS);
  }
}

/** What an attack did to a server. */
export interface Effect {
  /** By how much the most memory that it ever had grew, in bytes. */
  readonly grownBytes: number;
  /** Calls of the attackers whose methods were entered. */
  readonly hostileCalls: number;
}

/** Lets something hostile go on while somebody calls, who also called before it, so that what that needs does not count. */
export async function under(target: Target, attack: () => Promise<unknown>): Promise<Effect> {
  await calling(target, sleep(WARM_UP_MS));
  const before = await target.state();
  const answered = await calling(target, attack());
  const after = await target.state();
  return {
    grownBytes: after.peakBytes - before.peakBytes,
    hostileCalls: after.entered - before.entered - answered,
  };
}

/**
 * Calls the server over both versions of HTTP, one call after the other, for as long as something goes on.
 *
 * @returns how many calls were answered.
 * @throws what the first call that fails throws.
 */
export async function calling(target: Target, during: Promise<unknown>): Promise<number> {
  let over = false;
  const end = () => {
    over = true;
  };
  during.then(end, end);
  const baseUrl = `http://127.0.0.1:${target.port}`;
  const clients: Client<typeof KeySetService>[] = [
    createClient(KeySetService, createGrpcTransport({ baseUrl })),
    createClient(KeySetService, createConnectTransport({ baseUrl, httpVersion: "1.1" })),
  ];
  let answered = 0;
  do {
    for (const client of clients) {
      const { published } = await client
        .getKeySet({ address: "alice", number: BODY_BYTES })
        // That the server is gone says more than that the call failed.
        .catch((error) => target.state().then(() => Promise.reject(error)));
      if (published?.keySet?.body.length !== BODY_BYTES) throw new Error("an answer is not as it should be");
      answered += 1;
    }
  } while (!over);
  await during;
  return answered;
}
