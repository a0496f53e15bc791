// Streams from callers: on a whole node, in every protocol that carries them, by clients that others wrote and by hand.

import { once } from "node:events";
import { request as http1Request } from "node:http";
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { blake3 as nobleBlake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  Blake3StreamRequestSchema,
  Blake3StreamResponseSchema,
  HashService,
} from "../../gen/keypears/v1/hash_service_pb.ts";
import { bearer } from "../../src/client/index.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { reasonOf } from "../../src/services/errors.ts";
import { environment, type Person, signUp } from "../support/clients.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { SESSION_TOKEN, startTestServer, type TestServer } from "./test-server.ts";
import {
  CONNECT_STREAM,
  call,
  DRESSES,
  type Dress,
  decode,
  envelope,
  exchange,
  HTTP_VERSIONS,
} from "./wire.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const STREAM = "/keypears.v1.HashService/Blake3Stream";
const MIB = 1024 * 1024;
const DRESSES_OF_STREAMS: readonly Dress[] = [
  CONNECT_STREAM,
  {
    ...CONNECT_STREAM,
    name: "Connect stream with JSON",
    contentType: "application/connect+json",
    json: true,
  },
  ...DRESSES.filter(({ enveloped }) => enveloped),
];

let node: TestNode;
let alice: Person;
let token: string;
beforeAll(async () => {
  node = await startTestNode({ domain: "acme.test" });
  alice = await signUp(environment([node]), "alice@acme.test");
  token = alice.signedIn.credentials.sessionToken;
});
afterAll(() => node.remove());

const reference = (data: Uint8Array, dkLen = 32) => toHex(nobleBlake3(data, { dkLen }));

async function* cut(data: Uint8Array, size: number, outputLength = 0) {
  for (let at = 0; at < data.length; at += size) yield { data: data.subarray(at, at + size), outputLength };
}

function message(dress: Dress, data: Uint8Array, outputLength = 0): Uint8Array {
  const request = create(Blake3StreamRequestSchema, { data, outputLength });
  return dress.json
    ? Buffer.from(toJsonString(Blake3StreamRequestSchema, request))
    : toBinary(Blake3StreamRequestSchema, request);
}

describe.each<[string, (base: string) => Transport]>([
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl, interceptors: [bearer(() => token)] })],
  ...HTTP_VERSIONS.flatMap((httpVersion): [string, (base: string) => Transport][] => [
    [
      `gRPC-Web over HTTP/${httpVersion}`,
      (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion, interceptors: [bearer(() => token)] }),
    ],
    [
      `Connect over HTTP/${httpVersion}`,
      (baseUrl) => createConnectTransport({ baseUrl, httpVersion, interceptors: [bearer(() => token)] }),
    ],
    [
      `Connect with JSON over HTTP/${httpVersion}`,
      (baseUrl) =>
        createConnectTransport({
          baseUrl,
          httpVersion,
          useBinaryFormat: false,
          interceptors: [bearer(() => token)],
        }),
    ],
  ]),
])("Connect's own client by %s", (_, transport) => {
  const client = () => createClient(HashService, transport(node.apiUrl));

  it("hashes a stream that is larger than any message", async () => {
    const data = randomBytes(9 * MIB + 1);
    const { hash, bytesHashed } = await client().blake3Stream(cut(data, 700_001, 64));
    expect([toHex(hash), bytesHashed]).toEqual([reference(data, 64), BigInt(data.length)]);
  });

  it("reads the refusal of a stream that it is still sending", async () => {
    const refused = client().blake3Stream(cut(randomBytes(6 * MIB), 65_536, 9_999));
    expect(await reasonFrom(refused)).toBe("FIELD_INVALID");
  });

  it("hashes what fits one message", async () => {
    const data = randomBytes(1_000);
    expect(toHex((await client().blake3({ data, outputLength: 100 })).hash)).toBe(reference(data, 100));
  });
});

describe("@grpc/grpc-js", () => {
  const stream = (pieces: Iterable<Uint8Array>, options: { token?: string; deadline?: number } = {}) =>
    new Promise<{ hash: string; bytesHashed: bigint }>((resolve, reject) => {
      const client = new Client(`127.0.0.1:${node.port}`, credentials.createInsecure());
      const metadata = new Metadata();
      if (options.token !== undefined) metadata.set("authorization", `Bearer ${options.token}`);
      const sending = client.makeClientStreamRequest(
        STREAM,
        (data: Uint8Array) => Buffer.from(message(CONNECT_STREAM, data)),
        (answer) => fromBinary(Blake3StreamResponseSchema, answer),
        metadata,
        options.deadline === undefined ? {} : { deadline: Date.now() + options.deadline },
        (error, answer) => {
          client.close();
          if (error) reject(error);
          else resolve({ hash: toHex(answer!.hash), bytesHashed: answer!.bytesHashed });
        },
      );
      (async () => {
        for (const piece of pieces) {
          if (!sending.write(piece)) await once(sending, "drain");
        }
        if (options.deadline === undefined) sending.end();
      })().catch(reject);
    });

  it("hashes a stream, and one without any message", async () => {
    const data = randomBytes(5 * MIB);
    const pieces = Array.from({ length: 20 }, (_, i) =>
      data.subarray((i * data.length) / 20, ((i + 1) * data.length) / 20),
    );
    expect(await stream(pieces, { token })).toEqual({
      hash: reference(data),
      bytesHashed: BigInt(data.length),
    });
    expect(await stream([], { token })).toEqual({ hash: reference(new Uint8Array(0)), bytesHashed: 0n });
  });

  it("reads refusals: without a session, of a message that is too large, at its own deadline", async () => {
    const code = (answer: Promise<unknown>) =>
      answer.then(
        () => "answered",
        (error: ServiceError) => [error.code, String(error.metadata.get("grpc-status-details-bin")[0])],
      );
    expect(await code(stream([new Uint8Array(10)]))).toEqual([
      16,
      expect.stringContaining("SESSION_REQUIRED"),
    ]);
    expect(await code(stream([new Uint8Array(5 * MIB)], { token }))).toEqual([
      8,
      expect.stringContaining("MESSAGE_TOO_LARGE"),
    ]);
    expect(await code(stream([new Uint8Array(10)], { token, deadline: 200 }))).toMatchObject([
      4,
      expect.anything(),
    ]);
  });
});

describe.each(HTTP_VERSIONS)("over HTTP/%s", (version) => {
  describe.each(DRESSES_OF_STREAMS)("$name", (dress) => {
    const send = (body: Uint8Array, headers: Record<string, string> = {}) =>
      call(dress, {
        origin: node.origin,
        path: STREAM,
        version,
        body,
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
    const whole = envelope(message(dress, Uint8Array.of(1, 2, 3)));

    it("answers at the root and under /api", async () => {
      for (const prefix of ["", "/api"]) {
        const headers = { authorization: `Bearer ${token}` };
        const answer = await call(dress, {
          origin: node.origin,
          path: prefix + STREAM,
          version,
          body: whole,
          headers,
        });
        const { hash } = decode(Blake3StreamResponseSchema, dress, answer.messages[0]!);
        expect(toHex(hash)).toBe(reference(Uint8Array.of(1, 2, 3)));
        // No page reads the trailers of gRPC.
        const readable = !dress.contentType.startsWith("application/grpc+");
        expect(answer.response.headers.get("access-control-allow-origin")).toBe(readable ? "*" : null);
      }
    });

    it.each<[string, () => Uint8Array, string]>([
      ["a header that is cut off", () => Buffer.concat([whole, Uint8Array.of(0, 0)]), "MESSAGE_INVALID"],
      ["a message that is cut off", () => Buffer.concat([whole, whole.subarray(0, -1)]), "MESSAGE_INVALID"],
      ["a message that never begins", () => Buffer.concat([whole, whole.subarray(0, 5)]), "MESSAGE_INVALID"],
      ["unknown flags", () => Buffer.concat([whole, envelope(new Uint8Array(0), 2)]), "MESSAGE_INVALID"],
      [
        "compression that no header names",
        () => Buffer.concat([whole, envelope(gzipSync("x"), 1)]),
        "ENCODING_MISSING",
      ],
      ["what is no message", () => Buffer.concat([whole, envelope(Uint8Array.of(0xff))]), "MESSAGE_INVALID"],
      [
        "4 GiB that are announced",
        () => Buffer.concat([whole, Uint8Array.of(0, 255, 255, 255, 255)]),
        "MESSAGE_TOO_LARGE",
      ],
    ])("refuses %s behind a good message", async (_, body, reason) => {
      const answer = await send(body());
      expect([answer.messages, answer.reasons]).toEqual([[], [reason]]);
    });

    it("refuses a caller without a session, and one whose session has ended", async () => {
      const headers = { "content-type": dress.contentType };
      const request = { origin: node.origin, path: STREAM, version, body: whole };
      expect((await call(dress, { ...request, headers })).reasons).toEqual(["SESSION_REQUIRED"]);
      expect((await send(whole, { authorization: `Bearer ${"A".repeat(43)}` })).reasons).toEqual([
        "SESSION_INVALID",
      ]);
    });

    it("takes messages that are compressed, each by itself, and refuses what unpacks to too much", async () => {
      const packed = envelope(gzipSync(message(dress, Uint8Array.of(4))), 1);
      const encoding = { [dress.encodingHeader]: "gzip" };
      const answer = await send(Buffer.concat([whole, packed, whole]), encoding);
      const { hash } = decode(Blake3StreamResponseSchema, dress, answer.messages[0]!);
      expect(toHex(hash)).toBe(reference(Uint8Array.of(1, 2, 3, 4, 1, 2, 3)));
      const bomb = envelope(gzipSync(message(dress, new Uint8Array(5 * MIB))), 1);
      expect((await send(bomb, encoding)).reasons).toEqual(["MESSAGE_TOO_LARGE"]);
      expect((await send(packed, { [dress.encodingHeader]: "zstd" })).reasons).toEqual([
        "ENCODING_UNSUPPORTED",
      ]);
    });

    it("reads a stream that comes in one piece of many messages", async () => {
      const answer = await send(Buffer.concat(Array.from({ length: 10_000 }, () => whole)));
      const { bytesHashed } = decode(Blake3StreamResponseSchema, dress, answer.messages[0]!);
      expect(bytesHashed).toBe(30_000n);
    });
  });

  it("is not called by GET, nor as a unary method", async () => {
    const request = { origin: node.origin, path: STREAM, version };
    const got = await exchange({ ...request, method: "GET" });
    expect([got.status, got.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    const headers = { "content-type": "application/json" };
    expect((await exchange({ ...request, headers, body: Buffer.from("{}") })).status).toBe(415);
  });
});

it("reads the same messages, however their bytes are cut on the way", async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 30 });
  const data = fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(data, cuts, async (messages, lengths) => {
      const body = Buffer.concat(messages.map((one) => envelope(message(CONNECT_STREAM, one))));
      const sending = http1Request(new URL(STREAM, node.origin), {
        method: "POST",
        headers: { "content-type": CONNECT_STREAM.contentType, authorization: `Bearer ${token}` },
        agent: false,
      });
      const answered = once(sending, "response");
      for (let at = 0, i = 0; at < body.length; i++) {
        const length = lengths[i % lengths.length] ?? 1;
        sending.write(body.subarray(at, at + length));
        at += length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      sending.end();
      const [response] = await answered;
      const answer = await buffer(response);
      const { hash } = fromBinary(Blake3StreamResponseSchema, answer.subarray(5, 5 + answer.readUInt32BE(1)));
      expect(toHex(hash)).toBe(reference(Buffer.concat(messages)));
    }),
    { numRuns: 60 },
  );
});

describe("a caller", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ streamMessageMs: 300, maxRequestBytes: 100_000 });
  });
  afterAll(() => server.stop());

  const headers = {
    ":method": "POST",
    ":path": STREAM,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${SESSION_TOKEN}`,
  };
  const open = () => {
    const session = connectHttp2(server.origin);
    session.on("error", () => {});
    const stream = session.request(headers);
    stream.on("error", () => {});
    return { session, stream };
  };
  const status = async (stream: ClientHttp2Stream) => {
    stream.resume();
    const [received] = await once(stream, "response");
    const [trailers] = received["grpc-status"] === undefined ? await once(stream, "trailers") : [received];
    return Number(trailers["grpc-status"]);
  };
  const calls = (code: string) => server.log.filter(({ fields }) => fields.code === code).length;
  const piece = (bytes: number) => envelope(message(CONNECT_STREAM, new Uint8Array(bytes)));

  it("who falls silent between messages, or within one, is told so and holds nothing", async () => {
    for (const sent of [piece(10), Buffer.concat([piece(10), piece(10).subarray(0, 7)])]) {
      const { session, stream } = open();
      const closed = once(stream, "close");
      stream.write(sent);
      expect(await status(stream)).toBe(4); // DEADLINE_EXCEEDED
      await closed;
      expect(stream.rstCode).toBe(0);
      session.close();
    }
  });

  it("who sends in time may take longer than that altogether", async () => {
    const { session, stream } = open();
    const answer = status(stream);
    for (let i = 0; i < 8; i++) {
      stream.write(piece(10));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    stream.end();
    expect(await answer).toBe(0);
    session.close();
  });

  it("who resets the stream, or leaves, ends the call, and nothing is answered for half a stream", async () => {
    const before = calls("CANCELED");
    const answered = calls("OK");
    const entered = server.entered(server.entrances() + 1);
    const transport = connectTcp(server.port, "127.0.0.1");
    const session = connectHttp2(server.origin, { createConnection: () => transport });
    session.on("error", () => {});
    const stream = session.request(headers);
    stream.on("error", () => {});
    stream.write(piece(10));
    await entered;
    // RST_STREAM (RFC 9113 §6.4) of stream 1 with CANCEL: Node's own client would end the stream properly before it.
    transport.write(Uint8Array.of(0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8));
    await expect.poll(() => calls("CANCELED")).toBe(before + 1);
    session.destroy();
    const socket = connectTcp(server.port, "127.0.0.1");
    const head = Object.entries({
      "content-type": "application/connect+proto",
      authorization: headers.authorization,
    });
    socket.write(`POST ${STREAM} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n`);
    socket.write(`${head.map(([name, value]) => `${name}: ${value}`).join("\r\n")}\r\n\r\n`);
    socket.write(`${piece(10).length.toString(16)}\r\n`);
    socket.write(piece(10));
    socket.write("\r\n");
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await expect.poll(() => calls("CANCELED")).toBe(before + 2);
    expect(calls("OK")).toBe(answered);
  });

  it("who sends more than the method reads is held back, whatever that is", async () => {
    const { session, stream } = open();
    const entered = server.entered(server.entrances() + 2);
    stream.write(piece(99_000));
    stream.write(envelope(message(CONNECT_STREAM, Uint8Array.of(0xff))));
    await entered;
    let written = 0;
    for (let i = 0; i < 2_000 && stream.writableLength < 4 * MIB; i++) {
      stream.write(piece(60_000));
      written += 60_000;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    // What left the caller fits the windows of the connection and the buffers between.
    expect(written - stream.writableLength).toBeLessThan(2 * MIB);
    const answer = status(stream);
    server.release();
    stream.end();
    expect(await answer).toBe(0);
    session.close();
  });

  it("who sends large pieces is refused when the memory for them is taken, and who sends small ones never", async () => {
    // Its own server: memory for 64 messages of the largest size, and patience for them.
    const busy = await startTestServer({ maxRequestBytes: 200_000 });
    const session = connectHttp2(busy.origin);
    session.on("error", () => {});
    const begin = () => {
      const stream = session.request(headers);
      stream.on("error", () => {});
      return stream;
    };
    const most = piece(195_000).subarray(0, 190_000);
    const large = Array.from({ length: 120 }, begin);
    const statuses = large.map(status);
    for (const stream of large) stream.write(most);
    await Promise.any(statuses);
    const small = begin();
    const answer = status(small);
    for (let i = 0; i < 100; i++) small.write(piece(60_000));
    small.end();
    expect(await answer).toBe(0);
    for (const stream of large) if (!stream.closed) stream.end(piece(195_000).subarray(190_000));
    const ended = await Promise.all(statuses);
    expect(ended.filter((one) => one === 8).length).toBeGreaterThan(0); // RESOURCE_EXHAUSTED
    expect(ended.filter((one) => one === 0).length).toBeGreaterThan(80);
    const again = begin();
    const taken = status(again);
    again.end(piece(195_000));
    expect(await taken).toBe(0);
    session.close();
    await busy.stop();
  });

  it("who comes while the node stops is sent away", async () => {
    const stopping = await startTestServer({});
    const session = connectHttp2(stopping.origin);
    session.on("error", () => {});
    const stream = session.request(headers);
    stream.on("error", () => {});
    stream.write(piece(10));
    await stopping.entered(1);
    const answer = status(stream);
    await stopping.stop();
    expect(await answer).toBe(14); // UNAVAILABLE
  });
});

it("takes a gigabyte in bounded memory", async () => {
  const data = randomBytes(256 * 1024);
  const piece = envelope(message(CONNECT_STREAM, data));
  const session = connectHttp2(node.origin);
  let highest = 0;
  async function hashed(pieces: number): Promise<bigint> {
    const stream = session.request({
      ":method": "POST",
      ":path": STREAM,
      "content-type": CONNECT_STREAM.contentType,
      authorization: `Bearer ${token}`,
    });
    const answer = buffer(stream);
    for (let i = 0; i < pieces; i++) {
      if (i % 64 === 0) highest = Math.max(highest, process.memoryUsage().rss);
      if (!stream.write(piece)) await once(stream, "drain");
    }
    stream.end();
    const bytes = await answer;
    const { bytesHashed } = fromBinary(
      Blake3StreamResponseSchema,
      bytes.subarray(5, 5 + bytes.readUInt32BE(1)),
    );
    return bytesHashed;
  }
  await hashed(400);
  const before = highest;
  expect(await hashed(4_096)).toBe(1024n * 1024n * 1024n);
  session.close();
  // Both ends are in this process; what grows with the stream would be a gigabyte.
  expect(highest - before).toBeLessThan(256 * MIB);
});

async function reasonFrom(answer: Promise<unknown>): Promise<string | undefined> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`not refused by the node: ${error}`);
  return reasonOf(error);
}
