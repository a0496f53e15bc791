/**
 * One port for everything: HTTP/1.1 and HTTP/2, in cleartext or over TLS. Over TLS, ALPN (RFC 7301) decides; in cleartext
 * the first bytes do: the connection preface of HTTP/2 (RFC 9113 §3.4) goes to the HTTP/2 server, all else to HTTP/1.1.
 * Requests of both reach one handler. Every wait for a peer's bytes ends by itself, so silent peers hold nothing.
 */

import type { Server, Socket } from "node:net";
import type { Logger } from "../logger.ts";
import type { Exchange } from "./exchange.ts";
import { trackExchanges } from "./in-flight.ts";
import { createPort } from "./port.ts";

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

const SWEEP_MS = 20;

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
