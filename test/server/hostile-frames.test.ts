// Clients that break the rules of HTTP/2, or keep to them in bad faith: the server's memory stays bounded, and others are
// answered meanwhile.

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  callFields,
  FLAG,
  FRAME,
  fieldBlock,
  frame,
  gone,
  INITIAL_WINDOW_SIZE,
  open,
  openHttp2,
  pour,
  settings,
  streamId,
} from "./hostile/frames.ts";
import { callBody, MEBIBYTE, startTarget, under, until } from "./hostile/target-process.ts";

const TIMEOUT_MS = 120_000;
const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const CALL_HEADERS = fieldBlock(callFields(GET_KEY_SET));
/** Garbage that was not collected yet, for the most part; what has no bound grows beyond this at once. */
const BOUND_BYTES = 256 * MEBIBYTE;

/** Pours the same bytes until they are all out or the server has had enough; takes in what comes back, or leaves it. */
async function flood(
  port: number,
  { block, times, takes }: { block: Buffer; times: number; takes: boolean },
) {
  const socket = await openHttp2(port);
  if (takes) socket.resume();
  for (let sent = 0; sent < times; sent++) if (!(await pour(socket, block))) break;
  return socket;
}

describe("a client that opens streams and resets them at once (CVE-2023-44487)", () => {
  it("is sent away, again and again", { timeout: TIMEOUT_MS }, async () => {
    const target = await startTarget();
    const connections = 20;
    const streams = 2_500;
    const body = callBody({ address: "wait" });
    const block = Buffer.concat(
      Array.from({ length: streams }, (_, index) =>
        Buffer.concat([
          frame(FRAME.headers, FLAG.endHeaders, streamId(index), CALL_HEADERS),
          frame(FRAME.data, FLAG.endStream, streamId(index), body),
          frame(FRAME.resetStream, 0, streamId(index), Buffer.of(0, 0, 0, 8)),
        ]),
      ),
    );
    const attack = async () => {
      for (let n = 0; n < connections; n += 4) {
        const sockets = await Promise.all(
          Array.from({ length: 4 }, () => flood(target.port, { block, times: 1, takes: true })),
        );
        await Promise.all(sockets.map(gone));
      }
    };

    const { grownBytes, hostileCalls } = await under(target, attack);
    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBeLessThan((connections * streams) / 2);
    await until(target, ({ running }) => running === 0);
  });

  it("is sent away too when it makes the server reset them", { timeout: TIMEOUT_MS }, async () => {
    const target = await startTarget();
    const connections = 20;
    const streams = 2_500;
    const block = Buffer.concat(
      Array.from({ length: streams }, (_, index) =>
        Buffer.concat([
          frame(FRAME.headers, FLAG.endHeaders, streamId(index), CALL_HEADERS),
          // An increment of nothing is an error of the stream (RFC 9113 section 6.9).
          frame(FRAME.windowUpdate, 0, streamId(index), Buffer.alloc(4)),
        ]),
      ),
    );
    const attack = async () => {
      for (let n = 0; n < connections; n++)
        await gone(await flood(target.port, { block, times: 1, takes: true }));
    };

    const { grownBytes, hostileCalls } = await under(target, attack);
    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBeLessThan((connections * streams) / 2);
    await until(target, ({ running }) => running === 0);
  });
});

describe("a client whose headers do not end", () => {
  it.each([
    ["in CONTINUATION frames", Buffer.alloc(0)],
    ["in CONTINUATION frames that say something", fieldBlock([["x-more", "y".repeat(1_000)]])],
  ])("is sent away: %s", { timeout: TIMEOUT_MS }, async (_, payload) => {
    const target = await startTarget();
    const attack = async () => {
      for (let n = 0; n < 10; n++) {
        const socket = await openHttp2(target.port);
        socket.resume();
        socket.write(frame(FRAME.headers, 0, 1, CALL_HEADERS));
        const block = Buffer.concat(
          Array.from({ length: 1_000 }, () => frame(FRAME.continuation, 0, 1, payload)),
        );
        for (let sent = 0; sent < 100; sent++) if (!(await pour(socket, block))) break;
        await gone(socket);
      }
    };

    const { grownBytes, hostileCalls } = await under(target, attack);
    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBe(0);
  });
});

describe("a client with too many headers", () => {
  const many = Array.from({ length: 2_000 }, (_, index): [string, string] => [`x-${index}`, "y"]);
  // One header of 4,000 bytes goes into the table, and then stands in the request a thousand times, in a byte each.
  const bomb = Buffer.concat([
    fieldBlock(callFields(GET_KEY_SET)),
    Buffer.of(0x40),
    fieldBlock([["x-bomb", "y".repeat(4_000)]]).subarray(1),
    Buffer.alloc(1_000, 0x80 + 62),
  ]);

  it.each([
    ["thousands of them", Buffer.concat([CALL_HEADERS, fieldBlock(many)])],
    ["large ones", Buffer.concat([CALL_HEADERS, fieldBlock([["x-large", "y".repeat(60_000)]])])],
    ["one that is named a thousand times", bomb],
  ])("is not served: %s", { timeout: TIMEOUT_MS }, async (_, fields) => {
    const target = await startTarget();
    const attack = async () => {
      for (let n = 0; n < 20; n++) {
        const socket = await openHttp2(target.port);
        socket.resume();
        for (let index = 0; index < 20; index++) {
          if (!(await pour(socket, headersInFrames(streamId(index), fields)))) break;
        }
        await Promise.race([gone(socket), sleep(20)]);
        socket.destroy();
      }
    };

    const { grownBytes, hostileCalls } = await under(target, attack);
    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBe(0);
  });

  it("is told so over HTTP/1.1", { timeout: TIMEOUT_MS }, async () => {
    const target = await startTarget();
    const attack = async () => {
      for (let n = 0; n < 20; n++) {
        const socket = await open(target.port);
        socket.resume();
        await pour(socket, Buffer.from("GET / HTTP/1.1\r\nHost: acme.test\r\n"));
        const block = Buffer.from(`x-more: ${"y".repeat(1_000)}\r\n`.repeat(100));
        for (let sent = 0; sent < 100; sent++) if (!(await pour(socket, block))) break;
        await gone(socket);
      }
    };

    const { grownBytes, hostileCalls } = await under(target, attack);
    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBe(0);
  });
});

describe("a client that asks for answers of the connection and takes none", () => {
  it.each([
    ["PING", frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", settings([[INITIAL_WINDOW_SIZE, 65_535]])],
    ["empty SETTINGS", settings()],
  ])("is sent away: %s", { timeout: TIMEOUT_MS }, async (_, asked) => {
    const target = await startTarget();
    const block = Buffer.concat(Array.from({ length: 1_000 }, () => asked));
    const attack = async () => {
      const sockets = await Promise.all(
        Array.from({ length: 8 }, () => flood(target.port, { block, times: 200, takes: false })),
      );
      await Promise.all(sockets.map(gone));
    };

    const { grownBytes, hostileCalls } = await under(target, attack);
    expect(grownBytes).toBeLessThan(BOUND_BYTES);
    expect(hostileCalls).toBe(0);
  });
});

function headersInFrames(stream: number, fields: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < fields.length; at += 16_384) {
    const last = at + 16_384 >= fields.length;
    const type = at === 0 ? FRAME.headers : FRAME.continuation;
    const flags = (last ? FLAG.endHeaders : 0) | (at === 0 ? FLAG.endStream : 0);
    frames.push(frame(type, flags, stream, fields.subarray(at, at + 16_384)));
  }
  return Buffer.concat(frames);
}
