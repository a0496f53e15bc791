// One HTTP/2 connection (RFC 9113) to a peer's origin, over a TLS socket that agreed on "h2" or one in cleartext that is to
// try. It never reconnects: when it is over, whoever holds it makes a new one and agrees on a protocol anew. The listeners
// for errors stay for its whole life, since an error that a stranger's bytes cause when nobody listens would end this
// process. While calls are open and nothing is heard, the peer is asked whether it is there: a host that vanished sends no
// word of it.

import http2 from "node:http2";
import type net from "node:net";
import { PeerError } from "./errors.ts";

/** Times of a connection, in milliseconds. */
export interface ConnectionTimes {
  /** After this time without a byte it closes. */
  readonly idleMs: number;
  /** After this time without an answer it has to answer a PING before it is used again, or while calls are open. */
  readonly pingIntervalMs: number;
  /** Time for that answer. */
  readonly pingTimeoutMs: number;
}

/** What connect-es calls a session manager, for one session. */
export interface Http2Connection {
  /** Origin that it leads to. */
  readonly authority: string;
  /** Opens a stream. */
  request(
    method: string,
    path: string,
    headers: http2.OutgoingHttpHeaders,
    options: Omit<http2.ClientSessionRequestOptions, "signal">,
  ): Promise<http2.ClientHttp2Stream>;
  /** Notes that the peer is alive. */
  notifyResponseByteRead(stream: http2.ClientHttp2Stream): void;
  /** Whether the peer answers as HTTP/2 does, within a time in milliseconds. If not, the connection is over. */
  answersPreface(timeoutMs: number): Promise<boolean>;
  /** Whether new calls can be made; asks the peer if nothing was heard of it for long. */
  isUsable(): Promise<boolean>;
  /** Ends it once the calls under way have ended. */
  retire(): void;
  /** Ends it now, and calls under way with it. */
  destroy(): void;
}

/** What a peer's headers may take, in bytes. */
export const MAX_HEADER_BYTES = 16_384;

/** What a peer may send of one answer, and of all, before it has to wait for us to have read it. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 4 * 1024 * 1024;

/** Takes over a connected socket to `origin`. */
export function createHttp2Connection(
  origin: string,
  socket: net.Socket,
  times: ConnectionTimes,
): Http2Connection {
  const session = http2.connect(origin, {
    createConnection: () => socket,
    maxReservedRemoteStreams: 0,
    settings: {
      enablePush: false,
      maxHeaderListSize: MAX_HEADER_BYTES,
      initialWindowSize: STREAM_WINDOW_BYTES,
    },
  });
  let openCalls = 0;
  let goingAway = false;
  let aliveAt = performance.now();
  let pinging: Promise<boolean> | undefined;

  session.on("error", ignore); // Its streams and `isUsable` tell of it.
  session.on("goaway", () => {
    goingAway = true;
    session.close();
  });
  session.setTimeout(times.idleMs, () => session.close());
  session.on("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
  const keepAlive = setInterval(() => {
    if (openCalls > 0 && performance.now() >= aliveAt + times.pingIntervalMs) pinging ??= ping();
  }, times.pingIntervalMs);
  keepAlive.unref();
  session.on("close", () => clearInterval(keepAlive));

  const ping = (): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => session.destroy(silence(origin)), times.pingTimeoutMs);
      // Called with an error when the session is destroyed before the answer.
      session.ping((error) => {
        clearTimeout(timer);
        pinging = undefined;
        if (error === null) aliveAt = performance.now();
        resolve(error === null && isOpen());
      });
    });

  const isOpen = () => !(goingAway || session.closed || session.destroyed);

  return {
    authority: origin,
    async request(method, path, headers, options) {
      const stream = session.request({ ...headers, ":method": method, ":path": path }, options);
      openCalls += 1;
      stream.on("close", () => {
        openCalls -= 1;
      });
      stream.on("error", ignore); // The caller listens too, but only in a moment.
      return stream;
    },
    notifyResponseByteRead() {
      aliveAt = performance.now();
    },
    answersPreface: (timeoutMs) =>
      new Promise((resolve) => {
        const over = (answered: boolean) => {
          clearTimeout(timer);
          if (!answered) session.destroy();
          resolve(answered && isOpen());
        };
        const timer = setTimeout(() => over(false), timeoutMs);
        // The first frame of either side has to be SETTINGS (section 3.4).
        session.once("remoteSettings", () => over(true));
        session.once("close", () => over(false));
      }),
    async isUsable() {
      if (!isOpen()) return false;
      if (performance.now() < aliveAt + times.pingIntervalMs) return true;
      pinging ??= ping();
      return pinging;
    },
    retire: () => session.close(),
    destroy: () => session.destroy(),
  };
}

/** Without an error its streams would wait on, and so would the calls over them. */
function silence(origin: string): PeerError {
  const { hostname } = new URL(origin);
  return new PeerError("PEER_UNREACHABLE", hostname, `${hostname} has fallen silent`);
}

function ignore(): void {}
