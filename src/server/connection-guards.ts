/** What one connection may ask of the node at once, and what it may begin and leave. */

import { constants, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../logger.ts";
import { type Connection, type Exchange, newConnection } from "./exchange.ts";
import type { Exchanges } from "./in-flight.ts";

/**
 * Requests that a caller may send ahead over one HTTP/1.1 connection. Node begins with all that one read holds, hundreds of small
 * ones, and their answers would wait in memory for each other. Hardly anybody sends any.
 */
export const MAX_PIPELINED = 16;

/**
 * Streams that a caller may open and reset at once, and per second from then on. Each costs the node a call that is begun for
 * nothing, and its caller next to nothing (CVE-2023-44487).
 */
export const RESETS = { burst: 500, perSecond: 50 };

/** The requests of one HTTP/1.1 connection that are not answered yet. */
export interface Pipeline {
  readonly connection: Connection;
  /** Counts a request; false if it is one too many. */
  readonly enter: () => boolean;
  readonly ended: (exchange: Exchange) => void;
}

/** The pipeline of a new connection. */
export function createPipeline(socket: Socket, exchanges: Exchanges): Pipeline {
  let open = 0;
  return {
    connection: newConnection(socket),
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
export function resetGuard(session: ServerHttp2Session, log: Logger): () => void {
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
