// The load generator must count right answers only, however they are cut into frames and chunks.

import { once } from "node:events";
import { createServer as createHttp1Server, type RequestListener } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type OwnGenerator, startGenerator } from "../../bench/rpc/load.ts";
import { check, grpcFrame, type Question } from "../../bench/rpc/question.ts";

const grpc: Question = {
  carrier: "grpc",
  path: "/test.Service/Method",
  request: grpcFrame(new Uint8Array([1, 2, 3])),
  answer: grpcFrame(new Uint8Array(40_000).fill(7)),
};
const json: Question = {
  carrier: "json",
  path: grpc.path,
  request: new TextEncoder().encode('{"a":1}'),
  answer: new Uint8Array(9_000).fill(0x20),
};

let generator: OwnGenerator;
const servers: Server[] = [];

beforeAll(async () => {
  generator = await startGenerator();
}, 60_000);
afterAll(() => generator.close());
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((closed) => server.close(closed));
});

async function listening(server: Server): Promise<number> {
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function serveGrpc(answer: (stream: ServerHttp2Stream) => void): Promise<number> {
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    // A caller that had a wrong answer hangs up.
    stream.on("error", () => {});
    stream.resume();
    stream.on("end", () => answer(stream));
  });
  return listening(server);
}

function answerGrpc(stream: ServerHttp2Stream, pieces: readonly Uint8Array[]): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  for (const piece of pieces) stream.write(piece);
  stream.end();
}

const serveJson = (listener: RequestListener) => listening(createHttp1Server(listener));
const load = (port: number, question: Question) =>
  generator.run({ port, question, connections: 2, streams: question.carrier === "grpc" ? 3 : 1, ms: 50 });

test("a gRPC answer with a wrong byte, one that is cut short, and one that is refused are not counted but reported", async () => {
  const { answer } = grpc;
  const wrong = answer.slice();
  wrong[wrong.length - 1] = 8;
  for (const body of [wrong, answer.subarray(1)]) {
    const port = await serveGrpc((stream) => answerGrpc(stream, [body]));
    await expect(load(port, grpc)).rejects.toThrow("wrong answer");
    await expect(check("it", port, grpc)).rejects.toThrow("wrong answer");
  }
  const port = await serveGrpc((stream) => {
    stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
  });
  await expect(load(port, grpc)).rejects.toThrow("wrong answer");
  await expect(check("it", port, grpc)).rejects.toThrow("grpc-status 5");
}, 60_000);

test("a call that the server resets is reported", async () => {
  const port = await serveGrpc((stream) => stream.close(2));
  await expect(load(port, grpc)).rejects.toThrow("reset");
}, 60_000);

test("right gRPC answers are counted, each connection's too, in whatever pieces they come", async () => {
  const { answer } = grpc;
  const cuts = [0, 5, 6, 20_000, answer.length];
  const pieces = cuts.slice(1).map((end, index) => answer.subarray(cuts[index], end));
  let answered = 0;
  const port = await serveGrpc((stream) => {
    answered += 1;
    answerGrpc(stream, pieces);
  });
  const { calls, connections, p50, p99, seconds } = await load(port, grpc);
  expect(calls).toBeGreaterThanOrEqual(6);
  expect(calls).toBe(answered);
  expect(connections.reduce((sum, one) => sum + one.calls, 0)).toBe(calls);
  expect(p99).toBeGreaterThanOrEqual(p50);
  expect(seconds).toBeGreaterThan(0);
}, 60_000);

test("a JSON answer with a wrong byte, and one with another status, are reported", async () => {
  const wrong = await serveJson((_, response) => response.end(json.answer.slice().fill(0x21, 8_999)));
  await expect(load(wrong, json)).rejects.toThrow("wrong answer");
  await expect(check("it", wrong, json)).rejects.toThrow("wrong answer");
  const refused = await serveJson((_, response) => response.writeHead(429).end(json.answer));
  await expect(load(refused, json)).rejects.toThrow("wrong answer");
  await expect(check("it", refused, json)).rejects.toThrow("429");
}, 60_000);

test.each(["with its length", "in chunks"])(
  "right JSON answers %s are counted",
  async (how) => {
    let answered = 0;
    const port = await serveJson((_, response) => {
      answered += 1;
      if (how === "in chunks") {
        response.write(json.answer.subarray(0, 1_000));
        setImmediate(() => response.end(json.answer.subarray(1_000)));
      } else response.end(json.answer);
    });
    const { calls } = await load(port, json);
    expect(calls).toBeGreaterThanOrEqual(2);
    expect(calls).toBe(answered);
    await check("it", port, json);
  },
  60_000,
);
