/** The version of HTTP that a cleartext connection speaks, by its first bytes: HTTP/2 begins with its preface (RFC 9113 §3.4). */

import type { Socket } from "node:net";
import type { Logger } from "../logger.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Reads just enough of a connection to tell its version of HTTP, puts the bytes back, and says which it is: undefined if
 * the peer left or said nothing in time.
 */
export function sniff(
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
