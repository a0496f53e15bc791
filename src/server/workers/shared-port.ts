/**
 * The port that all workers share. The primary accepts each connection and gives it, unread, to the worker that has fewest.
 * Callers of a node keep their connections for minutes and send thousands of requests through each, so what has to be spread
 * is open connections: neither `cluster`, which gives the next one to whichever worker is free first, nor SO_REUSEPORT, which
 * draws lots, would keep two workers from serving one caller in four and three.
 */

import { createServer, type Socket } from "node:net";
import type { HostAndPort } from "../../config.ts";
import type { Logger } from "../../logger.ts";
import { opened } from "../listener.ts";

/** A worker's place at the port. */
export interface PortSeat {
  /** So many of its connections have closed. */
  closed(connections: number): void;
  /** Takes no more. */
  leave(): void;
}

/** A port whose connections go to others. */
export interface SharedPort {
  readonly address: HostAndPort;
  /** Takes connections from now on, those first that came while nobody took any. */
  join(take: (socket: Socket) => void): PortSeat;
  /** How many take connections. */
  readonly seats: number;
  /** Gives the port back. What was handed over lives on. */
  close(): void;
}

/** Connections that are kept waiting while no worker takes any, as after the only one has died. */
const MAX_WAITING = 1_024;

interface Seat {
  readonly take: (socket: Socket) => void;
  open: number;
}

/**
 * Opens a port.
 *
 * @throws the system's error (EADDRINUSE, EACCES …) when the port cannot be had.
 */
export async function openSharedPort({ host, port }: HostAndPort, log: Logger): Promise<SharedPort> {
  // In the order in which they were last given something, so that those with equally many take turns.
  const seats = new Set<Seat>();
  let waiting: Socket[] = [];
  const server = createServer({ pauseOnConnect: true, noDelay: true }, give);
  const address = await opened(server, host, port);
  // Out of file descriptors, for one: the connection is lost, the port stays.
  server.on("error", (error) => log.error({ err: error }, "a connection could not be accepted"));

  function give(socket: Socket): void {
    const seat = leastBusy(seats);
    if (seat === undefined) {
      if (waiting.length < MAX_WAITING) waiting.push(socket);
      else socket.destroy();
      return;
    }
    seats.delete(seat);
    seats.add(seat);
    seat.open += 1;
    seat.take(socket);
  }

  return {
    address,
    get seats() {
      return seats.size;
    },
    join(take) {
      const seat: Seat = { take, open: 0 };
      seats.add(seat);
      const kept = waiting;
      waiting = [];
      for (const socket of kept) give(socket);
      return {
        closed(connections) {
          seat.open -= connections;
        },
        leave() {
          seats.delete(seat);
        },
      };
    },
    close() {
      server.close();
      for (const socket of waiting) socket.destroy();
      waiting = [];
    },
  };
}

function leastBusy(seats: Iterable<Seat>): Seat | undefined {
  let least: Seat | undefined;
  for (const seat of seats) if (least === undefined || seat.open < least.open) least = seat;
  return least;
}
