/**
 * A port: a server of sockets, in cleartext or of TLS, which hands each to the server of the version of HTTP that it speaks. The
 * secure server of node:http2 could speak both by itself, but only with its compatibility layer in front of every stream.
 */

import { createServer as createHttp1Server } from "node:http";
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { createServer as createNetServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { createPipeline, type Pipeline, RESETS, resetGuard } from "./connection-guards.ts";
import { type Exchange, Http1Exchange, Http2Exchange, newConnection } from "./exchange.ts";
import type { Exchanges } from "./in-flight.ts";
import type { Certificate, ListenerOptions, ListenerTimeouts } from "./listener.ts";
import { sniff } from "./sniff.ts";

const TLS_VERSION = "TLSv1.3";
const MAX_HEADER_BYTES = 16 * 1024;
const CONNECTIONS_CHECK_MS = 1_000;
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 1024 * 1024;
const HTTP2_OPTIONS: ServerOptions = {
  maxSessionMemory: 16, // MB
  // Frames that break the protocol, and streams beyond their number, after which a session ends.
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  // Of Node's own guard, which ends a session without a reason, behind this node's.
  streamResetBurst: 2 * RESETS.burst,
  streamResetRate: 2 * RESETS.perSecond,
  settings: {
    maxConcurrentStreams: 128,
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEADER_BYTES,
    enablePush: false,
  },
};

/** A server of sockets. */
export interface Port {
  readonly server: Server;
  readonly replaceCertificate: (certificate: Certificate) => void;
  /** Ends idle HTTP/1.1 connections; tells HTTP/2 peers to go away, whose streams may finish (GOAWAY, RFC 9113 §6.8). */
  readonly endIdle: () => void;
  /** Lets go of what would keep a closed port alive. */
  readonly release: () => void;
}

/** Makes a port: a server of sockets, which hands each to the server of the version that it speaks. */
export function createPort(
  timeouts: ListenerTimeouts,
  exchanges: Exchanges,
  { handler, log, certificate }: ListenerOptions,
): Port {
  const pipelines = new WeakMap<Socket, Pipeline>();
  const http1 = createHttp1Server(http1Options(timeouts), (request, response) => {
    const { socket } = request;
    let pipeline = pipelines.get(socket);
    if (pipeline === undefined) {
      pipeline = createPipeline(socket, exchanges);
      pipelines.set(socket, pipeline);
    }
    if (!pipeline.enter()) {
      // The parser may have more of them.
      if (socket.destroyed) return;
      log.warn({ peer: socket.remoteAddress }, "a connection was ended for asking too much at once");
      socket.destroy();
    } else {
      handler(exchanges.track(new Http1Exchange(pipeline.connection, request, response, pipeline.ended)));
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
    const connection = newConnection(session.socket);
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
        handler(exchanges.track(new Http2Exchange(connection, stream, headers, rawHeaders, ended)));
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
    const handshaking = new Map<string, Socket>();
    const server = createTlsServer(
      {
        ...certificate,
        ALPNProtocols: ["h2", "http/1.1"],
        minVersion: TLS_VERSION,
        handshakeTimeout: timeouts.firstBytesMs,
        noDelay: true,
      },
      (socket) => {
        handshaking.delete(peerOf(socket));
        if (socket.alpnProtocol === "h2") return speak(socket, 2);
        // To the server of HTTP/1.1 a connection is idle after its first request only.
        undecided.add(socket);
        const decided = () => undecided.delete(socket);
        socket.once("data", decided);
        socket.once("close", decided);
        speak(socket, 1);
      },
    );
    server.on("connection", (socket: Socket) => {
      const peer = peerOf(socket);
      handshaking.set(peer, socket);
      socket.once("close", () => {
        if (handshaking.get(peer) === socket) handshaking.delete(peer);
      });
    });
    server.on("tlsClientError", (error, socket) => {
      log.debug({ error: error.message }, "TLS handshake failed");
      socket.destroy();
    });
    const replaceCertificate = (next: Certificate) =>
      server.setSecureContext({ ...next, minVersion: TLS_VERSION });
    const endIdle = () => {
      for (const socket of handshaking.values()) socket.destroy();
      common.endIdle();
    };
    return { server, replaceCertificate, ...common, endIdle };
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

/**
 * Lets the parser of HTTP/1.1 have what a TLS socket reads from the stream in place of the socket's handle, which is what a
 * listener for data does. From the handle it gets all records of a read, even after the first has made it pause, as it does
 * while an answer waits for its caller to take it; then it fails and takes the connection with it.
 */
function readByStream(socket: Socket): void {
  socket.on("data", () => {});
}

/** What a TLS socket and the socket under it have in common. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

function nothing(): void {}
