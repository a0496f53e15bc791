import { once } from "node:events";
import { Agent, get } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { createConnection, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { GetKeySetRequestSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { WatchSharesRequestSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { SESSION_TOKEN, startTestServer, type TestServer, type TestServerOptions } from "./test-server.ts";
import {
  CONNECT_STREAM,
  call,
  DRESSES,
  envelope,
  exchange,
  HTTP_VERSIONS,
  type HttpVersion,
} from "./wire.ts";

const MIB = 1024 * 1024;
const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const CONNECT = DRESSES.find(({ contentType }) => contentType === "application/proto")!;
const started: TestServer[] = [];
const sockets: Socket[] = [];

async function start(options?: TestServerOptions): Promise<TestServer> {
  const server = await startTestServer(options);
  started.push(server);
  return server;
}

function dial(server: TestServer): Socket {
  const socket = createConnection(server.port, "127.0.0.1");
  socket.on("error", () => {});
  sockets.push(socket);
  return socket;
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of started) server.release();
  await Promise.all(started.splice(0).map((server) => server.stop()));
});

async function received(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

function ask(server: TestServer, address: string, version: HttpVersion) {
  const body = toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, { address }));
  return call(CONNECT, { origin: server.origin, path: GET_KEY_SET, version, body });
}

describe("the first bytes of a cleartext connection", () => {
  it("decide also when they come one by one", async () => {
    const server = await start();
    for (const text of [
      "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ]) {
      const socket = dial(server);
      socket.setNoDelay(true);
      await once(socket, "connect");
      const answer = received(socket);
      for (const letter of text) {
        socket.write(letter);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await answer).toMatch(/^HTTP\/1\.1 (200|404)/);
    }
  });

  it("may be split in the middle of HTTP/2's preface", async () => {
    const server = await start();
    const socket = dial(server);
    await once(socket, "connect");
    socket.write("PRI * HTT");
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write("P/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    const [chunk] = (await once(socket, "data")) as [Buffer];
    expect(chunk[3]).toBe(4); // SETTINGS
  });

  it("are waited for only so long", async () => {
    const server = await start({ timeouts: { firstBytesMs: 50 } });
    const silent = dial(server);
    const half = dial(server);
    half.write("PRI * ");
    expect(await Promise.all([received(silent), received(half)])).toEqual(["", ""]);
  });

  it("may be none at all", async () => {
    const server = await start();
    const socket = dial(server);
    await once(socket, "connect");
    socket.end();
    expect(await received(socket)).toBe("");
    expect((await ask(server, "alice", "1.1")).error).toBeUndefined();
  });

  it("may be all that a caller sends before it closes its half", async () => {
    const server = await start();
    const socket = createConnection({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.end("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("get a clear refusal when they are no HTTP", async () => {
    const server = await start();
    const socket = dial(server);
    socket.write("\x16\x03\x01 hello\r\n\r\n");
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe("limits of a connection", () => {
  it("ends a request whose header does not end", async () => {
    const server = await start({ timeouts: { headersMs: 100 } });
    const socket = dial(server);
    socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n");
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("ends a request whose body does not end", async () => {
    const server = await start({ defaultDeadlineMs: 100 });
    const socket = dial(server);
    const head = ["content-type: application/json", "content-length: 100", "connection: close"].join("\r\n");
    socket.write(`POST ${GET_KEY_SET} HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n{`);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 504 /);
  });

  it("refuses headers that are too large", async () => {
    const server = await start();
    const socket = dial(server);
    socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: ${"x".repeat(20_000)}\r\n\r\n`);
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it("ends a connection that says nothing more", async () => {
    const server = await start({ timeouts: { keepAliveMs: 50 } });
    const socket = dial(server);
    socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("ends an HTTP/2 session that says nothing more", async () => {
    const server = await start({ timeouts: { idleSessionMs: 50 } });
    const session = connectHttp2(server.origin);
    session.on("error", () => {});
    await once(session, "close");
  });

  it("holds only so much of large bodies at once, and takes small calls meanwhile", async () => {
    const server = await start({ maxRequestBytes: 200_000 });
    const session = connectHttp2(server.origin);
    session.on("error", () => {});
    const path = "/keypears.v1.FederationService/DeliverShares";
    // 120 deliveries without an end, of 199 kB each, of which 64 whole ones may be held.
    const refusals = Array.from({ length: 120 }, () => {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/proto",
      });
      stream.on("error", () => {});
      stream.write(Buffer.alloc(199_000));
      return new Promise<number | undefined>((resolve) => {
        stream.on("response", (headers) => resolve(headers[":status"]));
        stream.on("close", () => resolve(undefined));
      });
    });
    expect(await Promise.race(refusals)).toBe(429);
    expect((await ask(server, "alice", "2")).error).toBeUndefined();
    session.destroy();
    await expect.poll(() => server.log.filter(({ message }) => message === "call").length).toBe(121);
    expect(server.log.filter(({ fields }) => fields.reason === "RATE_LIMITED").length).toBeGreaterThan(0);
    const large = await call(CONNECT, {
      origin: server.origin,
      path,
      version: "2",
      body: Buffer.alloc(199_000),
    });
    expect(large.reasons).toEqual(["MESSAGE_INVALID"]);
  });

  it("lives on when hosts and paths are nonsense", async () => {
    const server = await start();
    const requests = [
      "GET * HTTP/1.1\r\nHost: x\r\n",
      "GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\n",
      `POST ${GET_KEY_SET} HTTP/1.1\r\nHost: [###\r\ncontent-type: application/json\r\ncontent-length: 2\r\n`,
      `POST ${GET_KEY_SET} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n`,
      "GET /.well-known/keypears.json HTTP/1.1\r\nHost: [::::\r\n",
      "GET /%00%ff HTTP/1.1\r\nHost: x\r\n",
    ];
    for (const head of requests) {
      const socket = dial(server);
      socket.write(`${head}Connection: close\r\n\r\n${head.startsWith("POST") ? "{}" : ""}`);
      expect(await received(socket)).toMatch(/^HTTP\/1\.1 (200|400|404) /);
    }
  });

  it("lives on when callers leave in the middle", async () => {
    const server = await start();
    const socket = dial(server);
    socket.write(
      `POST ${GET_KEY_SET} HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    const session = connectHttp2(server.origin);
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": GET_KEY_SET,
      "content-type": "application/grpc",
    });
    stream.on("error", () => {});
    stream.write(Uint8Array.of(0, 0));
    await new Promise((resolve) => setTimeout(resolve, 50));
    session.destroy();
    const ends = () =>
      server.log.filter(({ message, fields }) => message === "call" && fields.code === "CANCELED");
    await expect.poll(ends).toHaveLength(2);
    expect((await ask(server, "alice", "2")).error).toBeUndefined();
  });
});

describe.each(HTTP_VERSIONS)("a stop over HTTP/%s", (version) => {
  it("lets a call in flight finish, and takes no more", async () => {
    const server = await start();
    const answer = ask(server, "wait", version);
    await server.entered(1);
    const stopped = server.stop();
    await expect(ask(server, "alice", version)).rejects.toThrow();
    server.release();
    expect((await answer).error).toBeUndefined();
    await stopped;
  });

  it("ends streams with the reason", async () => {
    const server = await start();
    const message = create(WatchSharesRequestSchema, { afterSequence: 3n });
    const body = envelope(toBinary(WatchSharesRequestSchema, message));
    const path = "/keypears.v1.ShareService/WatchShares";
    const answer = call(CONNECT_STREAM, { origin: server.origin, path, version, body });
    await server.entered(1);
    await server.stop();
    expect([(await answer).code, (await answer).reasons]).toEqual(["Unavailable", ["SHUTTING_DOWN"]]);
  });

  it("cuts off what does not finish in time", async () => {
    const server = await start({ timeouts: { closeMs: 50 } });
    const answer = ask(server, "forever", version);
    const failure = expect(answer).rejects.toThrow();
    await server.entered(1);
    await server.stop();
    await failure;
  });
});

describe("a stop", () => {
  it("ends idle connections at once", async () => {
    const server = await start();
    const agent = new Agent({ keepAlive: true });
    const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
      get(`${server.origin}/healthz`, { agent }, resolve).on("error", reject);
    });
    response.resume();
    await once(response, "end");
    const session = connectHttp2(server.origin);
    const ended = once(session, "close");
    await once(session, "remoteSettings");
    const silent = dial(server);
    await once(silent, "connect");
    await server.stop();
    await ended;
    agent.destroy();
    expect(server.log.some(({ message }) => message.includes("cut off"))).toBe(false);
  });

  it("can be asked for twice", async () => {
    const server = await start();
    await Promise.all([server.stop(), server.stop()]);
  });

  it("refuses calls on a connection that is still in use", async () => {
    const server = await start();
    const socket = dial(server);
    const body = Buffer.from('{"address":"wait"}');
    const head = `POST ${GET_KEY_SET} HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write(head + body);
    await server.entered(1);
    socket.write(head + body);
    const all = received(socket);
    const stopped = server.stop();
    server.release();
    await stopped;
    const answers = (await all).split("HTTP/1.1 ").slice(1);
    expect(answers[0]).toMatch(/^200 /);
    expect(answers[0]!.toLowerCase()).toContain("connection: close");
    expect(answers).toHaveLength(1);
  });
});

describe("over TLS", () => {
  const authority = createCertificateAuthority();
  const certificate = authority.issue({ names: ["acme.test", "127.0.0.1", "localhost"] });
  const tls = { ca: authority.certificate, servername: "acme.test", host: "127.0.0.1" };

  it("agrees on HTTP/2 or HTTP/1.1 by ALPN, and on TLS 1.3 only", async () => {
    const server = await start({ certificate });
    for (const [protocols, agreed] of [
      [["h2", "http/1.1"], "h2"],
      [["http/1.1"], "http/1.1"],
      [undefined, false],
    ] as const) {
      const socket = connectTls({
        ...tls,
        port: server.port,
        ...(protocols && { ALPNProtocols: [...protocols] }),
      });
      await once(socket, "secureConnect");
      expect([socket.getProtocol(), socket.alpnProtocol]).toEqual(["TLSv1.3", agreed]);
      socket.destroy();
    }
    const old = connectTls({ ...tls, port: server.port, maxVersion: "TLSv1.2" });
    const [error] = (await once(old, "error")) as [Error];
    expect(String(error)).toMatch(/protocol version|alert/i);
  });

  it("answers both versions, with HSTS", async () => {
    const server = await start({ certificate });
    const origin = `https://localhost:${server.port}`;
    const answer = await exchange({
      origin,
      path: "/healthz",
      version: "2",
      method: "GET",
      ca: authority.certificate,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("strict-transport-security")).toMatch(/^max-age=/);
    const socket = connectTls({ ...tls, port: server.port, ALPNProtocols: ["http/1.1"] });
    socket.write("GET /healthz HTTP/1.1\r\nHost: acme.test\r\nConnection: close\r\n\r\n");
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 200 .*strict-transport-security/s);
  });

  it("reads on, when a request comes in pieces while an answer waits for its caller", async () => {
    const server = await start({ certificate, maxRequestBytes: 8 * MIB });
    const request = (address: string, connection: string) => {
      const body = toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, { address }));
      const head = [
        `POST ${GET_KEY_SET} HTTP/1.1`,
        "Host: acme.test",
        "Content-Type: application/proto",
        `Content-Length: ${body.length}`,
        `Authorization: Bearer ${SESSION_TOKEN}`,
        `Connection: ${connection}`,
      ];
      return { head: `${head.join("\r\n")}\r\n\r\n`, body };
    };
    const large = request("x".repeat(7 * MIB), "keep-alive");
    const small = request("y", "close");
    const socket = connectTls({ ...tls, port: server.port, ALPNProtocols: ["http/1.1"] });
    socket.on("error", () => {});
    socket.write(large.head);
    socket.write(large.body);
    await once(socket, "readable");
    // Two records of TLS, which the server gets in one read.
    socket.write(small.head);
    socket.write(small.body);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const answers = (await received(socket)).split("HTTP/1.1 ").slice(1);
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual(["200", "200"]);
    expect(answers[0]!.length).toBeGreaterThan(7 * MIB);
  });

  it("ends handshakes that do not end", async () => {
    const server = await start({ certificate, timeouts: { firstBytesMs: 50 } });
    expect(await received(dial(server))).toBe("");
  });

  it("ends requests without an end", async () => {
    const server = await start({ certificate, timeouts: { headersMs: 100 } });
    const socket = connectTls({ ...tls, port: server.port, ALPNProtocols: ["http/1.1"] });
    socket.write("GET /healthz HTTP/1.1\r\n");
    expect(await received(socket)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("stops with connections open that never asked anything, nor shook hands", async () => {
    const server = await start({ certificate });
    const silent = dial(server);
    await once(silent, "connect");
    const socket = connectTls({ ...tls, port: server.port, ALPNProtocols: ["http/1.1"] });
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    await server.stop();
    expect(server.log.some(({ message }) => message.includes("cut off"))).toBe(false);
  });

  it("stops with idle connections open", async () => {
    const server = await start({ certificate });
    const session = connectHttp2(`https://localhost:${server.port}`, { ca: authority.certificate });
    const ended = once(session, "close");
    await once(session, "remoteSettings");
    const socket = connectTls({ ...tls, port: server.port, ALPNProtocols: ["http/1.1"] });
    socket.write("GET /healthz HTTP/1.1\r\nHost: acme.test\r\n\r\n");
    await once(socket, "data");
    const closed = once(socket, "close");
    await server.stop();
    await Promise.all([ended, closed]);
    expect(server.log.some(({ message }) => message.includes("cut off"))).toBe(false);
  });
});
