// One HTTP/2 connection (RFC 9113) to a peer's origin, over a TLS socket that agreed on "h2". It never reconnects: when it
// is over, whoever holds it makes a new one and agrees on a protocol anew. The listeners for errors stay for its whole
// life, since an error that a stranger's bytes cause when nobody listens would end this process.

import http2 from "node:http2";
import type tls from "node:tls";

/** Times of a connection, in milliseconds. */
export interface ConnectionTimes {
  /** After this time without a byte it closes. */
  readonly idleMs: number;
  /** After this time without an answer it has to answer a PING before it is used again. */
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
  /** Whether new calls can be made; asks the peer if nothing was heard of it for long. */
  isUsable(): Promise<boolean>;
  /** Ends it once the calls under way have ended. */
  retire(): void;
  /** Ends it now, and calls under way with it. */
  destroy(): void;
}

/** What a peer's headers may take, in bytes. */
export const MAX_HEADER_BYTES = 16_384;

/** Takes over a TLS socket to `origin`. */
export function createHttp2Connection(
  origin: string,
  socket: tls.TLSSocket,
  times: ConnectionTimes,
): Http2Connection {
  const session = http2.connect(origin, {
    createConnection: () => socket,
    maxReservedRemoteStreams: 0,
    settings: { enablePush: false, maxHeaderListSize: MAX_HEADER_BYTES },
  });
  let goingAway = false;
  let aliveAt = performance.now();
  let pinging: Promise<boolean> | undefined;

  session.on("error", ignore); // Its streams and `isUsable` tell of it.
  session.on("goaway", () => {
    goingAway = true;
    session.close();
  });
  session.setTimeout(times.idleMs, () => session.close());

  const ping = (): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => session.destroy(), times.pingTimeoutMs);
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
      stream.on("error", ignore); // The caller listens too, but only in a moment.
      return stream;
    },
    notifyResponseByteRead() {
      aliveAt = performance.now();
    },
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

function ignore(): void {}
