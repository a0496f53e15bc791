// Clients who send as little as they can for as long as they can, or in pieces as small as they can.

import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  callFields,
  FLAG,
  FRAME,
  fieldBlock,
  frame,
  gone,
  open,
  openHttp2,
  pour,
  streamId,
} from "./hostile/frames.ts";
import { MEBIBYTE, startTarget, under, until } from "./hostile/target-process.ts";

const TIMEOUT_MS = 120_000;
const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const CALL_HEADERS = fieldBlock(callFields(GET_KEY_SET));
const BOUND_BYTES = 256 * MEBIBYTE;
/** Far less than an object for each byte would take. */
const PIECES_BOUND_BYTES = 64 * MEBIBYTE;
const DRIP_MS = 20;

/** Sends bytes one by one until they are all out or the connection is gone. */
async function drip(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (const byte of bytes) {
    if (!(await pour(socket, Uint8Array.of(byte)))) return;
    await sleep(DRIP_MS);
  }
}

describe("clients who send a byte now and then", () => {
  const connections = 100;
  const endless = Buffer.alloc(10_000, "x");

  it.each([
    ["of their first line", "G"],
    ["of what looks like HTTP/2", "PRI * HTTP/2.0\r\n\r\n"],
    ["of their headers", "POST / HTTP/1.1\r\nHost: a\r\nX-Slow: "],
    [
      "of their body",
      `POST ${GET_KEY_SET} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`,
    ],
  ])("%s lose their connection in time", { timeout: TIMEOUT_MS }, async (_, beginning) => {
    const target = await startTarget({
      timeouts: { firstBytesMs: 1_000, headersMs: 1_000, requestMs: 1_000 },
      defaultDeadlineMs: 1_000,
    });
    const { grownBytes, hostileCalls } = await under(target, async () => {
      const sockets = await Promise.all(Array.from({ length: connections }, () => open(target.port)));
      await Promise.all(
        sockets.map(async (socket) => {
          socket.write(beginning);
          await Promise.race([drip(socket, endless), gone(socket)]);
          await gone(socket);
        }),
      );
    });

    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBe(0);
  });

  it("of the bodies of their streams lose these by their deadline", { timeout: TIMEOUT_MS }, async () => {
    const streams = 100;
    const target = await startTarget({ defaultDeadlineMs: 1_000 });
    const { grownBytes, hostileCalls } = await under(target, async () => {
      const socket = await openHttp2(target.port);
      let answered = 0;
      let rest = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
          if (rest.readUInt8(3) === FRAME.headers && (rest.readUInt8(4) & FLAG.endStream) !== 0)
            answered += 1;
          rest = rest.subarray(9 + rest.readUIntBE(0, 3));
        }
      });
      for (let index = 0; index < streams; index++) {
        socket.write(frame(FRAME.headers, FLAG.endHeaders, streamId(index), CALL_HEADERS));
      }
      while (answered < streams && !socket.destroyed) {
        for (let index = 0; index < streams; index++)
          socket.write(frame(FRAME.data, 0, streamId(index), Buffer.of(0)));
        await sleep(DRIP_MS);
      }
      socket.destroy();
    });

    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBe(0);
  });
});

describe("clients whose bodies come in pieces of a byte", () => {
  // An envelope that announces what never comes whole.
  const bytes = 60_000;

  it("hold not much more than their bytes over HTTP/2", { timeout: TIMEOUT_MS }, async () => {
    const streams = 12;
    const target = await startTarget({ defaultDeadlineMs: 20_000 });
    const { grownBytes } = await under(target, async () => {
      const socket = await openHttp2(target.port);
      socket.resume();
      for (let index = 0; index < streams; index++) {
        await pour(socket, frame(FRAME.headers, FLAG.endHeaders, streamId(index), CALL_HEADERS));
      }
      for (let index = 0; index < streams; index++) {
        const piece = frame(FRAME.data, 0, streamId(index), Buffer.of(0));
        for (let sent = 0; sent < bytes; sent += 1_000) {
          if (!(await pour(socket, Buffer.concat(Array.from({ length: 1_000 }, () => piece))))) return;
        }
      }
      await sleep(500);
      socket.destroy();
    });
    await until(target, ({ running }) => running === 0);

    expect(grownBytes).toBeLessThan(PIECES_BOUND_BYTES);
  });

  it("hold not much more than their bytes over HTTP/1.1", { timeout: TIMEOUT_MS }, async () => {
    const connections = 8;
    const target = await startTarget({ defaultDeadlineMs: 20_000 });
    const head = `POST ${GET_KEY_SET} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const { grownBytes } = await under(target, async () => {
      const sockets = await Promise.all(Array.from({ length: connections }, () => open(target.port)));
      for (const socket of sockets) {
        socket.resume();
        await pour(socket, Buffer.from(head));
        const block = Buffer.from("1\r\n{\r\n".repeat(1_000));
        for (let sent = 0; sent < bytes; sent += 1_000) await pour(socket, block);
      }
      await sleep(500);
      for (const socket of sockets) socket.destroy();
    });

    expect(grownBytes).toBeLessThan(PIECES_BOUND_BYTES);
  });
});
