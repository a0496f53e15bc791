// Connections to peers' RPC origins: one warm HTTP/2 connection each, or a few HTTP/1.1 ones where the peer does not
// agree on "h2" (ALPN, RFC 7301). In cleartext, which is development, the peer is asked by HTTP/2's preface (RFC 9113,
// section 3.3). Bounded in number, closed when idle, and opened by the dialer alone, so that a reconnection is checked
// like a first connection.

import http from "node:http";
import https from "node:https";
import type net from "node:net";
import type tls from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { LRUCache } from "lru-cache";
import type { ApiUrl } from "../protocol/api-url.ts";
import { MAX_REQUEST_BYTES } from "../protocol/limits.ts";
import { connectionError, type Dialer } from "./dialer.ts";
import { PeerError } from "./errors.ts";
import {
  type ConnectionTimes,
  createHttp2Connection,
  type Http2Connection,
  MAX_HEADER_BYTES,
} from "./http2-connection.ts";

/** Warm connections by origin. */
export interface PeerConnections {
  /**
   * The way of calls below `apiUrl`, over the warm connection to its origin or a new one.
   *
   * @throws PeerError if a new connection cannot be made.
   */
  connect(apiUrl: ApiUrl): Promise<PeerConnection>;
  /** Ends every connection that calls can still be made over. */
  close(): void;
}

/** A way to call a peer. */
export interface PeerConnection {
  readonly transport: Transport;
  /** What the peer agreed on. */
  readonly httpVersion: "2" | "1.1";
}

/** Bounds of the connections. */
export interface PeerConnectionLimits extends ConnectionTimes {
  /** Origins with a warm connection. */
  readonly maxOrigins: number;
}

/** What connections use where nothing else is said. */
export const DEFAULT_PEER_CONNECTION_LIMITS: PeerConnectionLimits = {
  maxOrigins: 256,
  idleMs: 60_000,
  pingIntervalMs: 15_000,
  pingTimeoutMs: 3_000,
};

const MAX_HTTP1_SOCKETS = 8;
/** How long a peer in cleartext may take to show that it speaks HTTP/2. */
const PREFACE_TIMEOUT_MS = 1_000;
/** How long an origin is taken to speak HTTP/1.1 only, in milliseconds. */
const HTTP1_TTL_MS = 600_000;

/** The connection to one origin, in the protocol that was agreed on. */
interface OriginConnection {
  /** False once a new connection should be made, and a protocol agreed on anew. */
  isUsable(): Promise<boolean>;
  readonly httpVersion: "2" | "1.1";
  transport(baseUrl: string): Transport;
  /** Ends it now; calls under way fail. */
  destroy(): void;
  /** Lets calls under way finish, then ends it. */
  retire(): void;
}

/** Makes an empty set of connections. */
export function createPeerConnections(dialer: Dialer, limits: PeerConnectionLimits): PeerConnections {
  const connections = new LRUCache<string, Promise<OriginConnection>>({
    max: limits.maxOrigins,
    dispose: (connection, _origin, cause) => {
      connection.then(
        (open) => (cause === "delete" ? open.destroy() : open.retire()),
        () => {}, // It never was one; whoever waits for it has the error.
      );
    },
  });

  const reconnect = (apiUrl: ApiUrl): Promise<OriginConnection> => {
    const opening = openConnection(dialer, apiUrl, limits);
    connections.set(apiUrl.origin, opening);
    opening.catch(() => {
      if (connections.peek(apiUrl.origin) === opening) connections.delete(apiUrl.origin);
    });
    return opening;
  };

  const connect = async (apiUrl: ApiUrl): Promise<PeerConnection> => {
    const found = connections.get(apiUrl.origin) ?? reconnect(apiUrl);
    let connection = await found;
    if (!(await connection.isUsable())) {
      // Of several that find it so, the first one reconnects and the others join it.
      const current = connections.get(apiUrl.origin);
      connection = await (current === undefined || current === found ? reconnect(apiUrl) : current);
    }
    return { transport: connection.transport(apiUrl.href), httpVersion: connection.httpVersion };
  };

  return { connect, close: () => connections.clear() };
}

async function openConnection(
  dialer: Dialer,
  apiUrl: ApiUrl,
  limits: PeerConnectionLimits,
): Promise<OriginConnection> {
  const socket = await openSocket(dialer, apiUrl);
  if (socket.destroyed) {
    throw new PeerError("PEER_UNREACHABLE", apiUrl.host, `the connection with ${apiUrl.host} broke`);
  }
  if (apiUrl.scheme === "http") {
    const connection = createHttp2Connection(apiUrl.origin, socket, limits);
    if (await connection.answersPreface(PREFACE_TIMEOUT_MS)) return http2Connection(connection);
  } else if ((socket as tls.TLSSocket).alpnProtocol === "h2") {
    return http2Connection(createHttp2Connection(apiUrl.origin, socket, limits));
  }
  socket.destroy();
  return http1Connection(dialer, apiUrl, limits);
}

/** Connects, and agrees on a protocol where that is TLS's business. */
function openSocket(dialer: Dialer, apiUrl: ApiUrl): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = dialer.open(apiUrl, ["h2", "http/1.1"]);
    const failed = (error: Error) => reject(connectionError(apiUrl.host, error));
    socket.once("error", failed);
    socket.once(apiUrl.scheme === "http" ? "connect" : "secureConnect", () => {
      socket.off("error", failed);
      resolve(socket);
    });
  });
}

function http2Connection(sessionManager: Http2Connection): OriginConnection {
  const { isUsable, destroy, retire } = sessionManager;
  return {
    httpVersion: "2",
    isUsable,
    destroy,
    retire,
    transport: (baseUrl) =>
      createConnectTransport({ ...callOptions(baseUrl), httpVersion: "2", sessionManager }),
  };
}

function http1Connection(dialer: Dialer, apiUrl: ApiUrl, limits: PeerConnectionLimits): OriginConnection {
  const Agent = apiUrl.scheme === "https" ? https.Agent : http.Agent;
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_HTTP1_SOCKETS, timeout: limits.idleMs });
  const openedAt = performance.now();
  let failed = false;
  agent.createConnection = () => {
    const socket = dialer.open(apiUrl, ["http/1.1"]);
    socket.once("error", () => {
      failed = true;
    });
    return socket;
  };
  const nodeOptions = { agent, maxHeaderSize: MAX_HEADER_BYTES };
  return {
    httpVersion: "1.1",
    isUsable: async () => !failed && performance.now() < openedAt + HTTP1_TTL_MS,
    transport: (baseUrl) =>
      createConnectTransport({ ...callOptions(baseUrl), httpVersion: "1.1", nodeOptions }),
    destroy: () => agent.destroy(),
    retire: () => {
      agent.maxFreeSockets = 0;
      for (const free of Object.values(agent.freeSockets)) free?.forEach((socket) => void socket.destroy());
    },
  };
}

/**
 * What all calls have in common. No compression is accepted: keys and ciphertext do not shrink, and what is never
 * inflated cannot be a bomb.
 */
function callOptions(baseUrl: string) {
  return {
    baseUrl,
    useBinaryFormat: true,
    acceptCompression: [],
    readMaxBytes: MAX_REQUEST_BYTES,
  };
}
