/** The exchanges of a listener that are not over: what a stop waits for, and what is given up when its caller does not take it. */

import type { Exchange } from "./exchange.ts";

/** Looks after exchanges. */
export interface Exchanges {
  /** Looks after an exchange, and gives it back. */
  readonly track: (exchange: Exchange) => Exchange;
  readonly ended: (exchange: Exchange) => void;
  /** From now on every HTTP/1.1 answer ends its connection. */
  readonly stopKeepingAlive: () => void;
  /** Stops looking after answers. */
  readonly release: () => void;
}

/** @param takeAnswerMs how long a caller has to take an answer that is complete; up to twice this. */
export function trackExchanges(takeAnswerMs: number): Exchanges {
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
