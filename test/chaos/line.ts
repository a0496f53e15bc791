// A line between two nodes, as TCP connections through the test: clear, down, silent, slow to answer, garbled, or a storm that
// delays, splits and merges what passes, falls silent and cuts connections at any byte.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, connect as openSocket, type Socket } from "node:net";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { Chance } from "./chance.ts";

/** What becomes of connections and of what passes over them. */
export type Weather =
  /** Everything passes. */
  | "clear"
  /** New connections are ended at once. */
  | "down"
  /** Connections are taken, and nothing passes either way. */
  | "silent"
  /** Whatever the far end says waits until the line is clear. */
  | "held"
  /** Whatever the far end says becomes noise. */
  | "garbled"
  | Storm;

/** Chance decides about every connection and every piece. */
export interface Storm {
  readonly chance: Chance;
}

/** A line. */
export interface Line {
  readonly port: number;
  /** Such as "http://127.0.0.1:40123". */
  readonly origin: string;
  /** From now on, open connections included. */
  weather(now: Weather): void;
  /** Ends every connection. */
  cut(): void;
  close(): Promise<void>;
}

/** What a storm does to connections and to pieces that pass, in shares of all. */
const STORM = { refused: 0.1, cut: 0.02, silenced: 0.01, split: 0.3, delayed: 0.2 };
const MAX_DELAY_MS = 60;
const MAX_SILENCE_MS = 1_500;
const NOISE_CHUNK = 4_096;

/** Opens a line to a port of this machine, which is asked for with each connection, until the test is over. */
export async function openLine(target: () => number): Promise<Line> {
  let weather: Weather = "clear";
  let changed = Promise.withResolvers<void>();
  const open = new Set<Socket>();

  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (weather === "down" || (isStorm(weather) && weather.chance.happens(STORM.refused))) {
      near.destroy();
      return;
    }
    const far = openSocket({ port: target(), host: "127.0.0.1", allowHalfOpen: true });
    const cut = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on("error", cut);
      socket.on("close", () => {
        open.delete(socket);
        if (socket.errored) cut();
      });
    }
    carry(near, far, "there").catch(cut);
    carry(far, near, "back").catch(cut);
  });

  async function carry(from: Socket, to: Socket, way: "there" | "back"): Promise<void> {
    for await (const chunk of from) await pass(chunk as Buffer, to, way);
    to.end();
  }

  async function pass(chunk: Buffer, to: Socket, way: "there" | "back"): Promise<void> {
    while (weather === "silent" || (weather === "held" && way === "back")) await changed.promise;
    if (weather === "garbled" && way === "back") return write(to, randomBytes(NOISE_CHUNK));
    if (isStorm(weather)) return passThroughStorm(weather, chunk, to);
    return write(to, chunk);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const line: Line = {
    port,
    origin: `http://127.0.0.1:${port}`,
    weather(now) {
      weather = now;
      changed.resolve();
      changed = Promise.withResolvers();
    },
    cut() {
      for (const socket of open) socket.destroy();
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      line.weather("clear");
      line.cut();
      await closed;
    },
  };
  return line;
}

/** Opens a line that closes when the test is over. */
export async function openLineForTest(target: () => number): Promise<Line> {
  const line = await openLine(target);
  onTestFinished(() => line.close());
  return line;
}

async function passThroughStorm({ chance }: Storm, chunk: Buffer, to: Socket): Promise<void> {
  if (chance.happens(STORM.cut)) {
    await write(to, chunk.subarray(0, chance.below(chunk.length)));
    throw new Error("the line was cut");
  }
  if (chance.happens(STORM.silenced)) {
    // Nothing passes any more, and after a while somebody on the way gives the connection up.
    await delay(chance.below(MAX_SILENCE_MS));
    throw new Error("the line was given up");
  }
  // Meanwhile more comes, which then passes in one piece.
  if (chance.happens(STORM.delayed)) await delay(chance.below(MAX_DELAY_MS));
  if (!chance.happens(STORM.split)) return write(to, chunk);
  for (let at = 0; at < chunk.length; ) {
    const end = at + 1 + chance.below(chunk.length - at);
    await write(to, chunk.subarray(at, end));
    await turn();
    at = end;
  }
}

async function write(to: Socket, chunk: Buffer): Promise<void> {
  if (to.destroyed) throw new Error("the other end is gone");
  if (chunk.length > 0 && !to.write(chunk)) await Promise.race([once(to, "drain"), once(to, "close")]);
}

function isStorm(weather: Weather): weather is Storm {
  return typeof weather === "object";
}
