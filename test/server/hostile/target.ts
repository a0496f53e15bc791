/** The server that hostile clients meet: this node's listener and dispatcher in a process of their own, with a small service. */

import { create } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { KeySetService } from "../../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService, WatchSharesResponseSchema } from "../../../gen/keypears/v1/share_service_pb.ts";
import { silentLogger } from "../../../src/logger.ts";
import { type ListenerTimeouts, listen } from "../../../src/server/listener.ts";
import { createBodyMemory } from "../../../src/server/request-body.ts";
import { createRpcDispatcher } from "../../../src/server/rpc/dispatcher.ts";

/** How the server is set up; sent by the parent as its first message. */
export interface TargetOptions {
  readonly timeouts?: Partial<ListenerTimeouts>;
  /** For a call that asks for none, in milliseconds. */
  readonly defaultDeadlineMs?: number;
}

/** How the server is; sent to the parent whenever it asks. */
export interface TargetState {
  readonly port: number;
  /** The most memory that the process ever had, in bytes. */
  readonly peakBytes: number;
  /** Calls whose methods are running. */
  readonly running: number;
  /** Calls whose methods were ever entered. */
  readonly entered: number;
  /** Those of them whose callers call themselves hostile. */
  readonly hostile: number;
  /** Messages that streams ever gave. */
  readonly streamed: number;
}

const MAX_MESSAGE_BYTES = 1024 * 1024;
const STREAMED_BYTES = 64 * 1024;

let running = 0;
let entered = 0;
let hostile = 0;
let streamed = 0;

process.once("message", async (options: TargetOptions) => {
  const rpc = createRpcDispatcher({
    register,
    prefixes: [""],
    limits: {
      maxRequestBytes: MAX_MESSAGE_BYTES,
      maxAnonymousRequestBytes: MAX_MESSAGE_BYTES,
      defaultDeadlineMs: options.defaultDeadlineMs ?? 30_000,
    },
    largeServices: new Set(),
    bodies: createBodyMemory(64 * MAX_MESSAGE_BYTES),
    stopping: new AbortController().signal,
    log: silentLogger,
  });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLogger,
    ...(options.timeouts && { timeouts: options.timeouts }),
    handler(exchange) {
      if (!rpc(exchange)) exchange.respond({ status: 404, headers: [] });
    },
  });
  process.on("message", () => report(listener.address.port));
  report(listener.address.port);
});
// The parent's end is this process's end.
process.on("disconnect", () => process.exit());

function report(port: number): void {
  const state: TargetState = {
    port,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    running,
    entered,
    hostile,
    streamed,
  };
  process.send?.(state);
}

function register(router: ConnectRouter): void {
  router.service(KeySetService, {
    /** Answers with as many bytes as the number says, or waits for the end of the call. */
    async getKeySet({ address, number }, call) {
      return counted(async () => {
        if (address === "hostile") hostile += 1;
        if (address === "wait") await ended(call);
        return { published: { keySet: { body: new Uint8Array(number) } } };
      });
    },
  });
  router.service(ShareService, {
    /** Gives messages as fast as they are taken, without end. */
    async *watchShares(_, call) {
      running += 1;
      entered += 1;
      const message = create(WatchSharesResponseSchema, {
        event: { case: "share", value: { sender: "a".repeat(STREAMED_BYTES) } },
      });
      try {
        while (!call.signal.aborted) {
          streamed += 1;
          yield message;
        }
      } finally {
        running -= 1;
      }
    },
  });
}

async function counted<T>(method: () => Promise<T>): Promise<T> {
  running += 1;
  entered += 1;
  try {
    return await method();
  } finally {
    running -= 1;
  }
}

function ended(call: HandlerContext): Promise<void> {
  return new Promise((_, reject) => {
    if (call.signal.aborted) reject(call.signal.reason);
    call.signal.addEventListener("abort", () => reject(call.signal.reason));
  });
}
