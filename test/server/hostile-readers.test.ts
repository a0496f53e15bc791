// Clients who ask for a lot and take nothing of it, or next to nothing: what their answers hold in memory is bounded and given
// up in time, and others are answered meanwhile.

import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { GetKeySetRequestSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { WatchSharesRequestSchema } from "../../gen/keypears/v1/share_service_pb.ts";
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
  settings,
  streamId,
} from "./hostile/frames.ts";
import { callBody, MEBIBYTE, startTarget, type Target, under, until } from "./hostile/target-process.ts";
import { envelope } from "./wire.ts";

const TIMEOUT_MS = 120_000;
const TAKE_MS = 500;
const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const WATCH_SHARES = "/keypears.v1.ShareService/WatchShares";
const ANSWER_BYTES = MEBIBYTE;
/** More than the system takes off a server's hands for a connection whose peer takes nothing. */
const LARGE_ANSWER_BYTES = 8 * MEBIBYTE;

/** Sends a gRPC call on a stream of its own. */
function call(socket: Socket, index: number, path: string, body: Uint8Array): void {
  socket.write(frame(FRAME.headers, FLAG.endHeaders, streamId(index), fieldBlock(callFields(path))));
  socket.write(frame(FRAME.data, FLAG.endStream, streamId(index), body));
}

/** A request over HTTP/1.1 for so many bytes. */
function request(bytes: number): string {
  const encoded = toBinary(
    GetKeySetRequestSchema,
    create(GetKeySetRequestSchema, { address: "hostile", number: bytes }),
  );
  const message = Buffer.from(encoded).toString("base64url");
  return `GET ${GET_KEY_SET}?encoding=proto&base64=1&message=${message} HTTP/1.1\r\nHost: a\r\n\r\n`;
}

/** Waits until the service has entered so many calls of strangers, beside those of the caller who behaves. */
async function entered(target: Target, count: number): Promise<void> {
  await until(target, ({ hostile }) => hostile >= count);
}

describe("a client that takes nothing of large answers", () => {
  it("holds no more than their size, and loses them in time, over HTTP/1.1", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const connections = 16;
    const target = await startTarget({ timeouts: { takeAnswerMs: TAKE_MS } });
    const { grownBytes } = await under(target, async () => {
      const sockets = await Promise.all(Array.from({ length: connections }, () => open(target.port)));
      for (const socket of sockets) {
        socket.pause().write(request(LARGE_ANSWER_BYTES));
      }
      await entered(target, connections);
      await sleep(4 * TAKE_MS);
      await Promise.all(sockets.map(gone));
    });

    // As an object and as bytes.
    expect(grownBytes).toBeLessThan(6 * connections * LARGE_ANSWER_BYTES);
  });

  it("is sent away where it asks for many at once", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const target = await startTarget({ timeouts: { takeAnswerMs: TAKE_MS } });
    const { grownBytes, hostileCalls } = await under(target, async () => {
      const socket = await open(target.port);
      socket.pause().write(request(ANSWER_BYTES / 4).repeat(5_000));
      await entered(target, 1);
      await sleep(6 * TAKE_MS);
      await gone(socket);
    });

    expect(hostileCalls).toBeLessThan(100);
    expect(grownBytes).toBeLessThan(256 * MEBIBYTE);
  });

  it.each([
    ["with no window at all", 0],
    ["with a window of a byte", 1],
  ])("holds no more than a session may, %s", { timeout: TIMEOUT_MS }, async (_, window) => {
    const connections = 4;
    const target = await startTarget({ timeouts: { takeAnswerMs: TAKE_MS } });
    const { grownBytes } = await under(target, async () => {
      const sockets = await Promise.all(
        Array.from({ length: connections }, () =>
          openHttp2(target.port, settings([[INITIAL_WINDOW_SIZE, window]])),
        ),
      );
      const body = callBody({ address: "hostile", number: ANSWER_BYTES / 4 });
      for (const socket of sockets) {
        socket.resume();
        for (let index = 0; index < 100; index++) call(socket, index, GET_KEY_SET, body);
      }
      await entered(target, connections);
      await sleep(6 * TAKE_MS);
      for (const socket of sockets) socket.destroy();
    });
    await until(target, ({ running }) => running === 0);

    expect(grownBytes).toBeLessThan(256 * MEBIBYTE);
  });
});

describe("a client that takes nothing of a stream without end", () => {
  it("is told little of it, and holds little", { timeout: TIMEOUT_MS }, async () => {
    const streams = 100;
    const target = await startTarget({ timeouts: { takeAnswerMs: TAKE_MS } });
    const body = envelope(toBinary(WatchSharesRequestSchema, create(WatchSharesRequestSchema)));
    const { grownBytes } = await under(target, async () => {
      const socket = await openHttp2(target.port, settings([[INITIAL_WINDOW_SIZE, 0]]));
      socket.resume();
      for (let index = 0; index < streams; index++) call(socket, index, WATCH_SHARES, body);
      await until(target, ({ streamed }) => streamed >= streams);
      await sleep(4 * TAKE_MS);
      socket.destroy();
    });
    const { streamed } = await until(target, ({ running }) => running === 0);

    expect(streamed).toBeLessThan(10 * streams);
    expect(grownBytes).toBeLessThan(256 * MEBIBYTE);
  });
});
