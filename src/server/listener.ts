/**
 * One port for everything: HTTP/1.1 and HTTP/2, in cleartext or over TLS. Over TLS, ALPN (RFC 7301) decides; in cleartext
 * the first bytes do: the connection preface of HTTP/2 (RFC 9113 §3.4) goes to the HTTP/2 server, all else to HTTP/1.1.
 * Requests of both reach one handler. Every wait for a peer's bytes ends by itself, so silent peers hold nothing.
 */

import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  constants,
  createServer as createHttp2Server,
  createSecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
  type ServerOptions,
} from "node:http2";
import { createServer as createNetServer, type Server, type Socket } from "node:net";
import type { Logger } from "../logger.ts";

/** A request of either version. */
export type Request = IncomingMessage | Http2ServerRequest;
/** A response of either version. */
export type Response = ServerResponse | Http2ServerResponse;

/** Certificate chain and private key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** How long the listener waits, in milliseconds. */
export interface ListenerTimeouts {
  /** For the first bytes of a connection, and for a TLS handshake. */
  readonly firstBytesMs: number;
  /** For the header of a request (HTTP/1.1). */
  readonly headersMs: number;
  /** For a whole request (HTTP/1.1). */
  readonly requestMs: number;
  /** For the next request on a connection that was used (HTTP/1.1). */
  readonly keepAliveMs: number;
  /** For any byte on an HTTP/2 connection. */
  readonly idleSessionMs: number;
  /** For a caller to take an answer that is complete; up to twice this. */
  readonly takeAnswerMs: number;
  /** For requests in flight when the listener closes. */
  readonly closeMs: number;
}

/** Where connections come from that another process has accepted. */
export interface ConnectionSource {
  /** The other process's. */
  readonly address: { readonly host: string; readonly port: number };
  /** Hands over every connection from now on. Nothing was read from it. */
  open(receive: (socket: Socket) => void): void;
}

/** What a listener needs. */
export interface ListenerOptions {
  /** Host name or IP address, without brackets. */
  readonly host: string;
  /** TCP port; 0 takes a free one. */
  readonly port: number;
  /** In place of a port of its own. */
  readonly source?: ConnectionSource | undefined;
  /** Turns TLS on. */
  readonly certificate?: Certificate | undefined;
  readonly handler: (request: Request, response: Response) => void;
  readonly log: Logger;
  readonly timeouts?: Partial<ListenerTimeouts>;
}

/** An open port. */
export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** Uses another certificate for new connections. Does nothing in cleartext. */
  replaceCertificate(certificate: Certificate): void;
  /**
   * Stops accepting, lets requests in flight finish, ends idle connections, and destroys what is left after `closeMs`.
   * Calling it again waits for the same end.
   */
  close(): Promise<void>;
}

/** Defaults of the listener's patience. A keep-alive longer than the usual 60 s of a balancer avoids its races. */
export const LISTENER_TIMEOUTS: ListenerTimeouts = {
  firstBytesMs: 10_000,
  headersMs: 10_000,
  requestMs: 60_000,
  keepAliveMs: 75_000,
  idleSessionMs: 300_000,
  takeAnswerMs: 120_000,
  closeMs: 10_000,
};

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const MAX_HEADER_BYTES = 16 * 1024;
const CONNECTIONS_CHECK_MS = 1_000;
const SWEEP_MS = 20;
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 1024 * 1024;
const HTTP2_OPTIONS: ServerOptions = {
  maxSessionMemory: 16, // MB
  settings: {
    maxConcurrentStreams: 128,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEADER_BYTES,
    enablePush: false,
  },
};

/**
 * Opens a port.
 *
 * @throws the system's error (EADDRINUSE, EACCES …) when the port cannot be had.
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const timeouts = { ...LISTENER_TIMEOUTS, ...options.timeouts };
  const requests = trackRequests(options.handler, timeouts.takeAnswerMs);
  const port =
    options.certificate === undefined
      ? cleartextPort(timeouts, requests, options.log)
      : securePort(timeouts, requests, options.log, options.certificate);

  const sockets = new Set<Socket>();
  let noneLeft = () => {};
  port.server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) noneLeft();
    });
  });
  const address = options.source
    ? receiveFrom(options.source, port.server)
    : await opened(port.server, options.host, options.port);
  // Out of file descriptors, for one: the connection is lost, the listener goes on.
  port.server.on("error", (error) => options.log.error({ err: error }, "a connection could not be accepted"));

  let closed: Promise<void> | undefined;
  return {
    address,
    replaceCertificate: port.replaceCertificate,
    close() {
      closed ??= close();
      return closed;
    },
  };

  async function close(): Promise<void> {
    port.server.close();
    const ended = new Promise<void>((resolve) => {
      noneLeft = resolve;
      if (sockets.size === 0) resolve();
    });
    requests.stopKeepingAlive();
    port.endIdle();
    // A connection becomes idle in more ways than there are events for: an answer is out, the rest of a body is read.
    const sweep = setInterval(port.endIdle, SWEEP_MS);
    const deadline = setTimeout(() => {
      options.log.warn({ connections: sockets.size }, "connections still in use were cut off");
      for (const socket of sockets) socket.destroy();
    }, timeouts.closeMs);
    await ended;
    clearInterval(sweep);
    clearTimeout(deadline);
    requests.release();
    port.release();
  }
}

/** The part of a port that differs between cleartext and TLS. */
interface Port {
  readonly server: Server;
  readonly replaceCertificate: (certificate: Certificate) => void;
  /** Ends idle HTTP/1.1 connections; tells HTTP/2 peers to go away, whose streams may finish (GOAWAY, RFC 9113 §6.8). */
  readonly endIdle: () => void;
  /** Lets go of what would keep a closed port alive. */
  readonly release: () => void;
}

function cleartextPort(timeouts: ListenerTimeouts, requests: Requests, log: Logger): Port {
  const http1 = createHttp1Server(http1Options(timeouts), requests.handle);
  // Node starts the clock of headersTimeout and requestTimeout when a server listens. This one never listens itself, it is
  // handed its sockets.
  http1.emit("listening");
  const http2 = createHttp2Server(HTTP2_OPTIONS, requests.handle);
  const sessions = trackSessions(http2, timeouts, log);
  const undecided = new Set<Socket>();

  const server = createNetServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.allowHalfOpen = true; // which one that another process accepted is not
    undecided.add(socket);
    sniff(socket, timeouts.firstBytesMs, log, (version) => {
      undecided.delete(socket);
      // HTTP/1.1 minds itself that a peer may stop sending before it has read the answer; to HTTP/2 that is the end.
      socket.allowHalfOpen = version === 1;
      if (version !== undefined) (version === 2 ? http2 : http1).emit("connection", socket);
    });
  });
  return {
    server,
    replaceCertificate() {},
    endIdle() {
      for (const socket of undecided) socket.destroy();
      http1.closeIdleConnections();
      for (const session of sessions) if (!session.closed) session.close();
    },
    release() {
      http1.close();
    },
  };
}

function securePort(
  timeouts: ListenerTimeouts,
  requests: Requests,
  log: Logger,
  certificate: Certificate,
): Port {
  const server = createSecureServer(
    {
      ...HTTP2_OPTIONS,
      ...http1Options(timeouts),
      ...certificate,
      allowHTTP1: true,
      minVersion: "TLSv1.3",
      handshakeTimeout: timeouts.firstBytesMs,
    },
    requests.handle,
  );
  server.on("tlsClientError", (error) => log.debug({ error: error.message }, "TLS handshake failed"));
  const sessions = trackSessions(server, timeouts, log);
  return {
    server,
    replaceCertificate: (next) => server.setSecureContext({ ...next, minVersion: "TLSv1.3" }),
    endIdle() {
      // An HTTP/2 server that also speaks HTTP/1.1 has this method of the HTTP/1.1 server, though its type does not say so.
      (server as unknown as { closeIdleConnections?: () => void }).closeIdleConnections?.();
      for (const session of sessions) if (!session.closed) session.close();
    },
    release() {},
  };
}

function http1Options(timeouts: ListenerTimeouts) {
  return {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    connectionsCheckingInterval: Math.min(CONNECTIONS_CHECK_MS, timeouts.headersMs),
  };
}

/**
 * Reads just enough of a connection to tell its version of HTTP, puts the bytes back, and says which it is: undefined if
 * the peer left or said nothing in time.
 */
function sniff(
  socket: Socket,
  patienceMs: number,
  log: Logger,
  decided: (version: 1 | 2 | undefined) => void,
): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => finish(undefined), patienceMs);
  socket.on("readable", read);
  socket.on("end", gone);
  socket.on("error", gone);

  function read(): void {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, PREFACE.length);
    const matches = seen.subarray(0, compared).equals(PREFACE.subarray(0, compared));
    if (!matches) finish(1);
    else if (compared === PREFACE.length) finish(2);
  }

  function gone(): void {
    finish(undefined);
  }

  function finish(version: 1 | 2 | undefined): void {
    clearTimeout(timer);
    socket.off("readable", read);
    socket.off("end", gone);
    if (version === undefined) {
      socket.destroy();
      log.debug({}, "a connection ended before its first request");
    } else {
      socket.off("error", gone);
      socket.unshift(seen);
    }
    decided(version);
  }
}

function trackSessions(server: Http2Server, timeouts: ListenerTimeouts, log: Logger): Set<Http2Session> {
  const sessions = new Set<Http2Session>();
  server.setTimeout(timeouts.idleSessionMs);
  server.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.once("close", () => sessions.delete(session));
  });
  server.on("sessionError", (error) => log.debug({ error: error.message }, "HTTP/2 session failed"));
  return sessions;
}

interface Requests {
  readonly handle: (request: Request, response: Response) => void;
  /** From now on every HTTP/1.1 response ends its connection. */
  readonly stopKeepingAlive: () => void;
  /** Stops looking after answers. */
  readonly release: () => void;
}

function trackRequests(handler: ListenerOptions["handler"], takeAnswerMs: number): Requests {
  const inFlight = new Set<Response>();
  let complete = new Set<Response>();
  let stopped = false;
  const sweep = setInterval(giveUpUntaken, takeAnswerMs);
  sweep.unref();
  return {
    handle(request, response) {
      inFlight.add(response);
      if (stopped) endConnectionWith(response);
      response.once("close", () => inFlight.delete(response));
      handler(request, response);
    },
    stopKeepingAlive() {
      stopped = true;
      for (const response of inFlight) endConnectionWith(response);
    },
    release: () => clearInterval(sweep),
  };

  /**
   * A caller who takes nothing would keep an answer in memory for as long as the connection lives. Neither a socket's
   * time-out nor a stream's sees that: any byte of the connection, such as a PING, sets both back.
   */
  function giveUpUntaken(): void {
    for (const response of complete) if (inFlight.has(response)) giveUp(response);
    complete = new Set([...inFlight].filter((response) => response.writableEnded));
  }
}

/** Ends the connection of an answer that nobody takes (HTTP/1.1), or its stream (HTTP/2, RFC 9113 §7). */
function giveUp(response: Response): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}

/** HTTP/2 has no such header: its sessions are told to go away. */
function endConnectionWith(response: Response): void {
  if (!("stream" in response) && !response.headersSent) response.setHeader("Connection", "close");
}

/** Has a server treat what another process accepted as if it had itself. */
function receiveFrom(source: ConnectionSource, server: Server): ConnectionSource["address"] {
  // Node starts the clocks of a server that speaks HTTP/1.1 when it listens, which this one never does.
  server.emit("listening");
  source.open((socket) => server.emit("connection", socket));
  return source.address;
}

/**
 * Has a server listen.
 *
 * @returns where it does.
 * @throws the system's error (EADDRINUSE, EACCES …) when the port cannot be had.
 */
export function opened(
  server: Server,
  host: string,
  port: number,
): Promise<{ readonly host: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("the port has no TCP address"));
      else resolve({ host: address.address, port: address.port });
    });
  });
}
