// Ten thousand connections on which nothing happens.

import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { expect, it } from "vitest";
import { open, openHttp2 } from "./hostile/frames.ts";
import { calling, MEBIBYTE, startTarget, under } from "./hostile/target-process.ts";

const TIMEOUT_MS = 180_000;
const AT_ONCE = 100;
/** Node raises its own limit of open files to what the system lets it; some systems let it less than this test needs. */
const CONNECTIONS = Math.min(10_000, openFiles() - 1_000);
const BYTES_EACH = 0.1 * MEBIBYTE;

it("keeps them, and answers others", { timeout: TIMEOUT_MS }, async () => {
  const target = await startTarget();
  const sockets: Socket[] = [];
  const { grownBytes } = await under(target, async () => {
    while (sockets.length < CONNECTIONS) {
      const opened = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, index) => (index % 2 === 0 ? idleHttp1 : openHttp2)(target.port)),
      );
      sockets.push(...opened);
    }
    for (const socket of sockets) socket.resume();
  });
  expect(await calling(target, Promise.resolve())).toBeGreaterThan(0);

  expect(sockets.filter((socket) => socket.destroyed)).toEqual([]);
  expect(grownBytes).toBeLessThan(CONNECTIONS * BYTES_EACH);
  for (const socket of sockets) socket.destroy();
});

/** A connection that was used once, and is kept alive. */
async function idleHttp1(port: number): Promise<Socket> {
  const socket = await open(port);
  socket.write("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  return socket;
}

function openFiles(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 0);
}
