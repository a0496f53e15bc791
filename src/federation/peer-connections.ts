// Connections to peers' RPC origins: one warm HTTP/2 connection each, or a few HTTP/1.1 ones where the peer does not
// agree on "h2" (ALPN, RFC 7301) and in cleartext. Bounded in number, closed when idle, and opened by the dialer alone,
// so that a reconnection is checked like a first connection.

import http from "node:http";
import https from "node:https";
import type tls from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { LRUCache } from "lru-cache";
import type { ApiUrl } from "../protocol/api-url.ts";
import { MAX_REQUEST_BYTES } from "../protocol/limits.ts";
import { connectionError, type Dialer } from "./dialer.ts";
import { PeerError } from "./errors.ts";
import { type ConnectionTimes, createHttp2Connection, MAX_HEADER_BYTES } from "./http2-connection.ts";

/** Warm connections by origin. */
export interface PeerConnections {
  /**
   * A transport for calls below `apiUrl`, over the warm connection to its origin or a new one.
   *
   * @throws PeerError if a new connection cannot be made.
   */
  transport(apiUrl: ApiUrl): Promise<Transport>;
  /** Ends every connection that calls can still be made over. */
  close(): void;
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
/** How long an origin is taken to speak HTTP/1.1 only, in milliseconds. */
const HTTP1_TTL_MS = 600_000;

/** The connection to one origin, in the protocol that was agreed on. */
interface OriginConnection {
  /** False once a new connection should be made, and a protocol agreed on anew. */
  isUsable(): Promise<boolean>;
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

  const transport = async (apiUrl: ApiUrl): Promise<Transport> => {
    const found = connections.get(apiUrl.origin) ?? reconnect(apiUrl);
    let connection = await found;
    if (!(await connection.isUsable())) {
      // Of several that find it so, the first one reconnects and the others join it.
      const current = connections.get(apiUrl.origin);
      connection = await (current === undefined || current === found ? reconnect(apiUrl) : current);
    }
    return connection.transport(apiUrl.href);
  };

  return { transport, close: () => connections.clear() };
}

async function openConnection(
  dialer: Dialer,
  apiUrl: ApiUrl,
  limits: PeerConnectionLimits,
): Promise<OriginConnection> {
  if (apiUrl.scheme === "http") return http1Connection(dialer, apiUrl, limits);
  const socket = await openSecureSocket(dialer, apiUrl);
  if (socket.destroyed) {
    throw new PeerError("PEER_UNREACHABLE", apiUrl.host, `the connection with ${apiUrl.host} broke`);
  }
  if (socket.alpnProtocol === "h2") return http2Connection(apiUrl, limits, socket);
  socket.destroy();
  return http1Connection(dialer, apiUrl, limits);
}

/** Connects, and agrees on a protocol. */
function openSecureSocket(dialer: Dialer, apiUrl: ApiUrl): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = dialer.open(apiUrl, ["h2", "http/1.1"]) as tls.TLSSocket;
    const failed = (error: Error) => reject(connectionError(apiUrl.host, error));
    socket.once("error", failed);
    socket.once("secureConnect", () => {
      socket.off("error", failed);
      resolve(socket);
    });
  });
}

function http2Connection(
  apiUrl: ApiUrl,
  limits: PeerConnectionLimits,
  socket: tls.TLSSocket,
): OriginConnection {
  const sessionManager = createHttp2Connection(apiUrl.origin, socket, limits);
  const { isUsable, destroy, retire } = sessionManager;
  return {
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
