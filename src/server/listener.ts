/**
 * One port for everything: HTTP/1.1 and HTTP/2, in cleartext or over TLS. Over TLS, ALPN (RFC 7301) decides; in cleartext
 * the first bytes do: the connection preface of HTTP/2 (RFC 9113 §3.4) goes to the HTTP/2 server, all else to HTTP/1.1.
 * Requests of both reach one handler. Every wait for a peer's bytes ends by itself, so silent peers hold nothing.
 */

import { createServer as createHttp1Server } from "node:http";
import {
  constants,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { createServer as createNetServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Logger } from "../logger.ts";
import { type Exchange, Http1Exchange, Http2Exchange } from "./exchange.ts";

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
  /** Answers requests. */
  readonly handler: (exchange: Exchange) => void;
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
const TLS_VERSION = "TLSv1.3";
const MAX_HEADER_BYTES = 16 * 1024;
const CONNECTIONS_CHECK_MS = 1_000;
const SWEEP_MS = 20;
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 1024 * 1024;
/**
 * Requests that a caller may send ahead over one HTTP/1.1 connection. Node begins with all that one read holds, hundreds of small
 * ones, and their answers would wait in memory for each other. Hardly anybody sends any.
 */
const MAX_PIPELINED = 16;
/**
 * Streams that a caller may open and reset at once, and per second from then on. Each costs the node a call that is begun for
 * nothing, and its caller next to nothing (CVE-2023-44487). Node's own bound stands behind this one, without a reason for it.
 */
const RESETS = { burst: 500, perSecond: 50 };
const HTTP2_OPTIONS: ServerOptions = {
  maxSessionMemory: 16, // MB
  // Frames that break the protocol, and streams beyond their number, after which a session ends.
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  streamResetBurst: 2 * RESETS.burst,
  streamResetRate: 2 * RESETS.perSecond,
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
  const exchanges = trackExchanges(timeouts.takeAnswerMs);
  const port = createPort(timeouts, exchanges, options);

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
    exchanges.stopKeepingAlive();
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
    exchanges.release();
    port.release();
  }
}

interface Port {
  readonly server: Server;
  readonly replaceCertificate: (certificate: Certificate) => void;
  /** Ends idle HTTP/1.1 connections; tells HTTP/2 peers to go away, whose streams may finish (GOAWAY, RFC 9113 §6.8). */
  readonly endIdle: () => void;
  /** Lets go of what would keep a closed port alive. */
  readonly release: () => void;
}

/** Makes a port: a server of sockets, which hands each to the server of the version that it speaks. */
function createPort(
  timeouts: ListenerTimeouts,
  exchanges: Exchanges,
  { handler, log, certificate }: ListenerOptions,
): Port {
  const pipelines = new WeakMap<Socket, Pipeline>();
  const http1 = createHttp1Server(http1Options(timeouts), (request, response) => {
    const { socket } = request;
    let pipeline = pipelines.get(socket);
    if (pipeline === undefined) {
      pipeline = createPipeline(exchanges);
      pipelines.set(socket, pipeline);
    }
    if (!pipeline.enter()) {
      // The parser may have more of them.
      if (socket.destroyed) return;
      log.warn({ peer: socket.remoteAddress }, "a connection was ended for asking too much at once");
      socket.destroy();
    } else {
      handler(exchanges.track(new Http1Exchange(request, response, pipeline.ended)));
    }
  });
  // Node starts the clock of headersTimeout and requestTimeout when a server listens. This one never listens itself, it is
  // handed its sockets.
  http1.emit("listening");
  const http2 = createHttp2Server(HTTP2_OPTIONS);
  const sessions = new Set<ServerHttp2Session>();
  http2.setTimeout(timeouts.idleSessionMs);
  http2.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.once("close", () => sessions.delete(session));
    const countReset = resetGuard(session, log);
    const ended = (exchange: Exchange, reset: boolean) => {
      if (reset) countReset();
      exchanges.ended(exchange);
    };
    session.on("stream", (stream, headers, _flags, rawHeaders) => {
      // A stream can break before anybody looks at it; that must not go unheard, or it ends the process.
      stream.on("error", nothing);
      if (stream.destroyed) countReset();
      else if (mayProceed(stream, headers)) {
        handler(exchanges.track(new Http2Exchange(session, stream, headers, rawHeaders, ended)));
      }
    });
  });
  http2.on("sessionError", (error) => log.debug({ error: error.message }, "HTTP/2 session failed"));

  const undecided = new Set<Socket>();
  const speak = (socket: Socket, version: 1 | 2) => {
    (version === 2 ? http2 : http1).emit("connection", socket);
    if (version === 1 && certificate !== undefined) readByStream(socket);
  };
  const common = {
    endIdle() {
      for (const socket of undecided) socket.destroy();
      http1.closeIdleConnections();
      for (const session of sessions) if (!session.closed) session.close();
    },
    release() {
      http1.close();
    },
  };
  if (certificate !== undefined) {
    const server = createTlsServer(
      {
        ...certificate,
        ALPNProtocols: ["h2", "http/1.1"],
        minVersion: TLS_VERSION,
        handshakeTimeout: timeouts.firstBytesMs,
        noDelay: true,
      },
      (socket) => speak(socket, socket.alpnProtocol === "h2" ? 2 : 1),
    );
    server.on("tlsClientError", (error, socket) => {
      log.debug({ error: error.message }, "TLS handshake failed");
      socket.destroy();
    });
    const replaceCertificate = (next: Certificate) =>
      server.setSecureContext({ ...next, minVersion: TLS_VERSION });
    return { server, replaceCertificate, ...common };
  }
  const server = createNetServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.allowHalfOpen = true; // which one that another process accepted is not
    undecided.add(socket);
    sniff(socket, timeouts.firstBytesMs, log, (version) => {
      undecided.delete(socket);
      // HTTP/1.1 minds itself that a peer may stop sending before it has read the answer; to HTTP/2 that is the end.
      socket.allowHalfOpen = version === 1;
      if (version !== undefined) speak(socket, version);
    });
  });
  return { server, replaceCertificate() {}, ...common };
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

/** Answers what HTTP/2 asks of a server before a request is looked at, as node:http does for HTTP/1.1. */
function mayProceed(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const refuse = (status: number) => {
    stream.respond({ ":status": status }, { endStream: true });
    return false;
  };
  if (headers[":method"] === "CONNECT") return refuse(405);
  if (headers.expect === undefined) return true;
  if (headers.expect !== "100-continue") return refuse(417);
  stream.additionalHeaders({ ":status": 100 });
  return true;
}

/** The requests of one HTTP/1.1 connection that are not answered yet. */
interface Pipeline {
  /** Counts a request; false if it is one too many. */
  readonly enter: () => boolean;
  readonly ended: (exchange: Exchange) => void;
}

function createPipeline(exchanges: Exchanges): Pipeline {
  let open = 0;
  return {
    enter() {
      open += 1;
      return open <= MAX_PIPELINED;
    },
    ended(exchange) {
      open -= 1;
      exchanges.ended(exchange);
    },
  };
}

/**
 * Counts the streams that the caller of a session reset, and ends the session with ENHANCE_YOUR_CALM (RFC 9113 §7) when they
 * are more than RESETS allows.
 */
function resetGuard(session: ServerHttp2Session, log: Logger): () => void {
  let left = RESETS.burst;
  let filledAt = performance.now();
  return () => {
    const now = performance.now();
    left = Math.min(RESETS.burst, left + ((now - filledAt) / 1_000) * RESETS.perSecond) - 1;
    filledAt = now;
    if (left >= 0 || session.destroyed) return;
    log.warn({ peer: session.socket?.remoteAddress }, "a session was ended for resetting too many streams");
    session.destroy(new Error("too many streams were reset"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
}

/**
 * Lets the parser of HTTP/1.1 have what a TLS socket reads from the stream in place of the socket's handle, which is what a
 * listener for data does. From the handle it gets all records of a read, even after the first has made it pause, as it does
 * while an answer waits for its caller to take it; then it fails and takes the connection with it.
 */
function readByStream(socket: Socket): void {
  socket.on("data", () => {});
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

interface Exchanges {
  /** Looks after an exchange, and gives it back. */
  readonly track: (exchange: Exchange) => Exchange;
  readonly ended: (exchange: Exchange) => void;
  /** From now on every HTTP/1.1 answer ends its connection. */
  readonly stopKeepingAlive: () => void;
  /** Stops looking after answers. */
  readonly release: () => void;
}

function trackExchanges(takeAnswerMs: number): Exchanges {
  const inFlight = new Set<Exchange>();
  let complete = new Set<Exchange>();
  let stopped = false;
  const sweep = setInterval(giveUpUntaken, takeAnswerMs);
  sweep.unref();
  return {
    track(exchange) {
      inFlight.add(exchange);
      if (stopped) exchange.endConnection();
      return exchange;
    },
    ended: (exchange) => inFlight.delete(exchange),
    stopKeepingAlive() {
      stopped = true;
      for (const exchange of inFlight) exchange.endConnection();
    },
    release: () => clearInterval(sweep),
  };

  /**
   * A caller who takes nothing would keep an answer in memory for as long as the connection lives. Neither a socket's
   * time-out nor a stream's sees that: any byte of the connection, such as a PING, sets both back.
   */
  function giveUpUntaken(): void {
    for (const exchange of complete) if (inFlight.has(exchange)) exchange.giveUp();
    complete = new Set([...inFlight].filter((exchange) => exchange.answered));
  }
}

/** Has a server treat what another process accepted as if it had itself. */
function receiveFrom(source: ConnectionSource, server: Server): ConnectionSource["address"] {
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

function nothing(): void {}
