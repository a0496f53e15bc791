/** Two servers of one service on real sockets: the node's listener and dispatcher, and the library's adapter. */

import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { silentLogger } from "../../../src/logger.ts";
import { listen } from "../../../src/server/listener.ts";
import { createBodyMemory } from "../../../src/server/request-body.ts";
import { createRpcDispatcher } from "../../../src/server/rpc/dispatcher.ts";
import { register, type Seen } from "./service.ts";

/** A way from a socket to the service. */
export interface Road {
  port(version: "1.1" | "2"): number;
  readonly seen: Seen;
  close(): Promise<void>;
}

/** The most that a request message may have, in bytes. */
export const MAX_MESSAGE_BYTES = 4_096;
/** The time that a call has where its caller asks for none; no request of the table takes that long. */
const DEFAULT_DEADLINE_MS = 60_000;

/** Opens this node's road. */
export async function shortRoad(): Promise<Road> {
  const seen: Seen = new Map();
  const rpc = createRpcDispatcher({
    register: (router) => register(router, seen),
    prefixes: ["", "/api"],
    limits: {
      maxRequestBytes: MAX_MESSAGE_BYTES,
      maxAnonymousRequestBytes: MAX_MESSAGE_BYTES,
      defaultDeadlineMs: DEFAULT_DEADLINE_MS,
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
    timeouts: { closeMs: 0 },
    handler(exchange) {
      if (!rpc(exchange)) exchange.respond({ status: 404, headers: [] });
    },
  });
  return { port: () => listener.address.port, seen, close: () => listener.close() };
}

/** Opens the library's road, with the limits and the compression that the node has too. */
export async function libraryRoad(): Promise<Road> {
  const seen: Seen = new Map();
  const handler = connectNodeAdapter({
    routes: (router) => register(router, seen),
    readMaxBytes: MAX_MESSAGE_BYTES,
    acceptCompression: [compressionGzip],
  });
  const http1 = createHttp1Server(handler);
  const http2 = createHttp2Server(handler);
  const servers = { "1.1": http1, "2": http2 };
  await Promise.all(Object.values(servers).map(opened));
  return {
    port: (version) => (servers[version].address() as AddressInfo).port,
    seen,
    async close() {
      http1.closeAllConnections();
      await Promise.all(Object.values(servers).map(closed));
    },
  };
}

function opened(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
