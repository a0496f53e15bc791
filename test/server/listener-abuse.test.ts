// Connections that ask for more than their share are ended; others do not notice.

import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { createConnection } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GetKeySetRequestSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { startTestServer, type TestServer } from "./test-server.ts";
import { call, DRESSES } from "./wire.ts";

const TIMEOUT_MS = 60_000;
const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const CONNECT = DRESSES.find(({ contentType }) => contentType === "application/proto")!;

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => {
  server.release();
  return server.stop();
});

async function isAnswered(): Promise<boolean> {
  const body = toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, { address: "alice" }));
  const { error } = await call(CONNECT, { origin: server.origin, path: GET_KEY_SET, version: "2", body });
  return error === undefined;
}

describe("a caller who resets what it begins", () => {
  it("has its session ended, with the reason", { timeout: TIMEOUT_MS }, async () => {
    const session = connectHttp2(server.origin);
    session.on("error", () => {});
    const goneAway = new Promise((resolve) => session.on("goaway", resolve));
    const closed = new Promise((resolve) => session.on("close", resolve));
    while (!session.closed && !session.destroyed) {
      const waves = Array.from({ length: 50 }, () => {
        // Its body does not come, so that it is never answered.
        const stream = session.request({
          ":method": "POST",
          ":path": GET_KEY_SET,
          "content-type": "application/json",
        });
        stream.on("error", () => {});
        stream.close(constants.NGHTTP2_CANCEL);
        return new Promise((resolve) => stream.on("close", resolve));
      });
      await Promise.all(waves);
    }

    expect(await goneAway).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await closed;
    expect(await isAnswered()).toBe(true);
  });
});

describe("a caller who sends requests ahead over HTTP/1.1", () => {
  const request = (address: string) => {
    const query = `?encoding=json&message=${encodeURIComponent(JSON.stringify({ address }))}`;
    return `GET ${GET_KEY_SET}${query} HTTP/1.1\r\nHost: acme.test\r\n\r\n`;
  };

  it("gets the answers in their order", { timeout: TIMEOUT_MS }, async () => {
    const socket = createConnection(server.port, "127.0.0.1").setEncoding("latin1");
    let received = "";
    const done = new Promise<void>((resolve) => {
      socket.on("data", (text) => {
        received += text;
        if (received.split("HTTP/1.1 200").length > 8 && received.endsWith("}")) resolve();
      });
    });
    const names = Array.from({ length: 8 }, (_, index) => `name${index}`);
    socket.write(names.map(request).join(""));
    await done;
    socket.destroy();

    const bodies = [...received.matchAll(/"body":"([^"]+)"/g)].map(([, body]) =>
      Buffer.from(body!, "base64").toString(),
    );
    expect(bodies).toEqual(names);
  });

  it("loses its connection when they are too many at once", { timeout: TIMEOUT_MS }, async () => {
    const socket = createConnection(server.port, "127.0.0.1");
    socket.on("error", () => {});
    const closed = once(socket, "close");
    socket.write(Array.from({ length: 100 }, () => request("wait")).join(""));
    await closed;

    expect(server.entrances()).toBeLessThanOrEqual(16);
    expect(await isAnswered()).toBe(true);
  });
});
