// Methods with streams both ways: messages go to and fro in any order, each side ends its own, and nobody is read ahead of.

import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { afterEach, describe, expect, it } from "vitest";
import {
  DeliverShareStreamRequestSchema,
  DeliverShareStreamResponseSchema,
  FederationService,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { silentLogger } from "../../src/logger.ts";
import { type Listener, listen } from "../../src/server/listener.ts";
import { createBodyMemory } from "../../src/server/request-body.ts";
import { createRpcDispatcher } from "../../src/server/rpc/dispatcher.ts";
import { shuttingDown } from "../../src/server/rpc/errors.ts";
import { envelope } from "./wire.ts";

const TIMEOUT_MS = 60_000;
const PATH = "/keypears.v1.FederationService/DeliverShareStream";
const MAX_BYTES = 1 << 20;

type Method = ServiceImpl<typeof FederationService>["deliverShareStream"];

let listener: Listener;
let stopping: AbortController;
const warnings: string[] = [];
afterEach(async () => {
  stopping.abort(shuttingDown());
  await listener.close();
  expect(warnings.splice(0)).toEqual([]);
});

async function serve(method: Method): Promise<string> {
  stopping = new AbortController();
  const rpc = createRpcDispatcher({
    register: (router) => router.service(FederationService, { deliverShareStream: method }),
    prefixes: [""],
    limits: { maxRequestBytes: MAX_BYTES, maxAnonymousRequestBytes: MAX_BYTES, defaultDeadlineMs: 30_000 },
    largeServices: new Set(),
    bodies: createBodyMemory(4 * MAX_BYTES),
    stopping: stopping.signal,
    log: silentLogger,
  });
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: { ...silentLogger, warn: (_, message) => warnings.push(message) },
    handler: (exchange) => {
      rpc(exchange);
    },
  });
  return `http://127.0.0.1:${listener.address.port}`;
}

const batch = (number: number, bytes = 0) =>
  envelope(
    toBinary(
      DeliverShareStreamRequestSchema,
      create(DeliverShareStreamRequestSchema, {
        batchNumber: BigInt(number),
        envelopes: [{ header: new Uint8Array(bytes) }],
      }),
    ),
  );

function open(origin: string) {
  const session = connectHttp2(origin);
  session.on("error", () => {});
  const stream = session.request({ ":method": "POST", ":path": PATH, "content-type": "application/grpc" });
  stream.on("error", () => {});
  return { session, stream, answers: answersOf(stream), trailers: once(stream, "trailers") };
}

async function* answersOf(stream: ClientHttp2Stream): AsyncGenerator<number> {
  let received = Buffer.alloc(0);
  for await (const chunk of stream) {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 5 && received.length >= 5 + received.readUInt32BE(1)) {
      const end = 5 + received.readUInt32BE(1);
      yield Number(fromBinary(DeliverShareStreamResponseSchema, received.subarray(5, end)).batchNumber);
      received = received.subarray(end);
    }
  }
}

const echo: Method = async function* (requests) {
  for await (const { batchNumber } of requests) yield { batchNumber };
};

describe("streams both ways", () => {
  it("answer each message while the caller still sends", { timeout: TIMEOUT_MS }, async () => {
    const { session, stream, answers, trailers } = open(await serve(echo));
    for (const number of [1, 2, 3]) {
      stream.write(batch(number));
      expect((await answers.next()).value).toBe(number);
    }
    stream.end();
    expect((await answers.next()).done).toBe(true);
    expect((await trailers)[0]["grpc-status"]).toBe("0");
    session.close();
  });

  it("go on answering when the caller has sent all", { timeout: TIMEOUT_MS }, async () => {
    const { session, stream, answers, trailers } = open(
      await serve(async function* (requests) {
        const all = [];
        for await (const { batchNumber } of requests) all.push(batchNumber);
        for (const batchNumber of all.reverse()) yield { batchNumber };
      }),
    );
    for (const number of [1, 2, 3]) stream.write(batch(number));
    stream.end();
    const received = [];
    for await (const number of answers) received.push(number);
    expect(received).toEqual([3, 2, 1]);
    expect((await trailers)[0]["grpc-status"]).toBe("0");
    session.close();
  });

  it("may end before the caller has", { timeout: TIMEOUT_MS }, async () => {
    const { session, stream, answers, trailers } = open(
      await serve(async function* (requests) {
        for await (const { batchNumber } of requests) {
          yield { batchNumber };
          return;
        }
      }),
    );
    const closed = once(stream, "close");
    stream.write(batch(1));
    expect((await answers.next()).value).toBe(1);
    expect((await answers.next()).done).toBe(true);
    expect((await trailers)[0]["grpc-status"]).toBe("0");
    // It is told not to send the rest.
    await closed;
    expect(stream.rstCode).toBe(0);
    session.close();
  });

  it("leave with the caller what is not asked for", { timeout: TIMEOUT_MS }, async () => {
    const gate = Promise.withResolvers<void>();
    let taken = 0;
    const { session, stream, answers } = open(
      await serve(async function* (requests) {
        for await (const { batchNumber } of requests) {
          taken += 1;
          await gate.promise;
          yield { batchNumber };
        }
      }),
    );
    const count = 32;
    for (let number = 1; number <= count; number++) stream.write(batch(number, MAX_BYTES / 8));
    // Windows and what is read ahead are full, and no more goes out.
    let before = -1;
    while (stream.writableLength !== before) {
      before = stream.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(taken).toBe(1);
    expect(before).toBeGreaterThan((count / 2) * (MAX_BYTES / 8));
    gate.resolve();
    stream.end();
    const received = [];
    for await (const number of answers) received.push(number);
    expect(received).toHaveLength(count);
    session.close();
  });

  it("are held back by a caller who takes no answers", { timeout: TIMEOUT_MS }, async () => {
    let given = 0;
    const words = "w".repeat(1_000);
    const { session, stream } = open(
      await serve(async function* () {
        for (; given < 100_000; given++) {
          yield {
            results: [{ retryAfterSeconds: 1, reasonMessage: words } as never],
            batchNumber: BigInt(given),
          };
        }
      }),
    );
    stream.pause();
    let before = -1;
    while (given !== before || given === 0) {
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(given).toBeLessThan(100_000);
    session.destroy();
  });

  it("need HTTP/2, and say so", async () => {
    const origin = await serve(echo);
    const headers = { "content-type": "application/grpc" };
    const answer = await fetch(origin + PATH, { method: "POST", headers, body: new Uint8Array(batch(1)) });
    expect(answer.status).toBe(505);
    expect(answer.headers.get("connection")).toBe("close");
    expect(await answer.text()).toContain("HTTP/2");
  });

  it("are told of a stop by their own signal, and may answer what they have", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { session, stream, answers, trailers } = open(
      await serve(async function* (requests) {
        for await (const { batchNumber } of requests) {
          await once(stopping.signal, "abort");
          yield { batchNumber };
          throw stopping.signal.reason;
        }
      }),
    );
    stream.write(batch(7));
    const first = answers.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    stopping.abort(shuttingDown());
    const stopped = listener.close();
    expect((await first).value).toBe(7);
    expect((await answers.next()).done).toBe(true);
    expect((await trailers)[0]["grpc-status"]).toBe(String(Code.Unavailable));
    await stopped;
    session.close();
  });
});
