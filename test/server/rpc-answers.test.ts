// What answers to unary calls carry beside their message: compression, caching, headers and trailers; and how calls end early.

import { connect as connectHttp2, constants } from "node:http2";
import { gunzipSync, gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type GetKeySetRequest,
  GetKeySetRequestSchema,
  GetKeySetResponseSchema,
  KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { silentLogger } from "../../src/logger.ts";
import { type Listener, listen } from "../../src/server/listener.ts";
import { createBodyMemory } from "../../src/server/request-body.ts";
import { createRpcDispatcher } from "../../src/server/rpc/dispatcher.ts";
import { answeredInBytes, type EncodedAnswer } from "../../src/services/encoded-answer.ts";
import {
  call,
  DRESSES,
  type Dress,
  decode,
  envelope,
  exchange,
  HTTP_VERSIONS,
  type WireResponse,
} from "./wire.ts";

const TIMEOUT_MS = 60_000;
const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const BATCH = "/keypears.v1.KeySetService/BatchGetKeySets";
const LIST = "/keypears.v1.KeySetService/ListKeySets";
const SHORT = 1_000;
const LONG = 4_096;

const listeners: Listener[] = [];
let origin: string;
let secretOrigin: string;
/** The last context that a method was given, and promises of what happens to it. */
let context: HandlerContext;
let entered = Promise.withResolvers<void>();

const inBytes: EncodedAnswer = {
  bytes: (encoding) =>
    encoding === "json"
      ? new TextEncoder().encode(toJsonString(GetKeySetResponseSchema, message("a".repeat(LONG))))
      : toBinary(GetKeySetResponseSchema, message("a".repeat(LONG))),
  gzip: async (encoding) => gzipSync(inBytes.bytes(encoding)),
  entityTag: (encoding) => `"${encoding}"`,
  cacheControl: "max-age=60",
};

function message(body: string | Uint8Array) {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return create(GetKeySetResponseSchema, { published: { keySet: { body: bytes } } });
}

async function getKeySet({ address }: GetKeySetRequest, call: HandlerContext) {
  context = call;
  entered.resolve();
  switch (address) {
    case "long":
      return message("a".repeat(LONG));
    case "short":
      return message("a".repeat(SHORT));
    case "random":
      return message(crypto.getRandomValues(new Uint8Array(LONG)));
    case "metadata":
      call.responseHeader.set("x-head", "1");
      call.responseHeader.set("content-type", "text/html");
      call.responseTrailer.set("x-tail-bin", "AAE");
      return message("");
    case "refused":
      call.responseHeader.set("x-head", "1");
      call.responseTrailer.set("x-tail", "2");
      throw new ConnectError("50 % of «this»\r\n", Code.Aborted, { "x-reason": "3", "grpc-status": "0" });
    case "wait":
      await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      return message("");
    default:
      return message(address);
  }
}

beforeAll(async () => {
  const start = async (secretServices: ReadonlySet<string>) => {
    const rpc = createRpcDispatcher({
      register: (router) =>
        router.service(KeySetService, {
          getKeySet,
          // It answers with another type of message in bytes, which nobody here minds.
          listKeySets: answeredInBytes(GetKeySetResponseSchema, async () => inBytes) as never,
        }),
      prefixes: [""],
      limits: { maxRequestBytes: LONG, maxAnonymousRequestBytes: LONG, defaultDeadlineMs: 30_000 },
      largeServices: new Set(),
      bodies: createBodyMemory(1 << 20),
      secretServices,
      toCallError: (thrown) => ConnectError.from(thrown),
      stopping: new AbortController().signal,
      log: silentLogger,
    });
    const listener = await listen({
      host: "127.0.0.1",
      port: 0,
      log: silentLogger,
      handler: (exchange) => {
        rpc(exchange);
      },
    });
    listeners.push(listener);
    return `http://127.0.0.1:${listener.address.port}`;
  };
  origin = await start(new Set());
  secretOrigin = await start(new Set(["keypears.v1.KeySetService"]));
});
afterAll(() => Promise.all(listeners.map((listener) => listener.close())));

function request(dress: Dress, address: string): Uint8Array {
  const asked = create(GetKeySetRequestSchema, { address });
  const bytes = dress.json
    ? new TextEncoder().encode(toJsonString(GetKeySetRequestSchema, asked))
    : toBinary(GetKeySetRequestSchema, asked);
  return dress.enveloped ? envelope(bytes) : bytes;
}

/** The message of an answer, unpacked if it says that it is packed. */
function unpacked(
  dress: Dress,
  { headers, body }: WireResponse,
): { readonly message: Uint8Array; packed: boolean } {
  const packed = headers.get(dress.encodingHeader) === "gzip";
  const flagged = dress.enveloped ? body[0] === 1 : packed;
  expect(flagged).toBe(packed);
  const data = dress.enveloped ? body.subarray(5, 5 + body.readUInt32BE(1)) : body;
  return { message: packed ? gunzipSync(data) : data, packed };
}

describe.each(HTTP_VERSIONS)("over HTTP/%s", (version) => {
  describe.each(DRESSES)("$name", (dress) => {
    const accepting = dress.enveloped ? "grpc-accept-encoding" : "accept-encoding";
    const ask = (address: string, headers: Record<string, string> = {}, at = origin, path = GET_KEY_SET) =>
      call(dress, { origin: at, path, version, body: request(dress, address), headers });
    const isPacked = async (...asked: Parameters<typeof ask>) =>
      unpacked(dress, (await ask(...asked)).response).packed;

    it("compresses what is long and gets shorter, for who takes gzip", async () => {
      const { response } = await ask("long", { [accepting]: "br;q=1, GZIP;q=0.5" });
      const { message: bytes, packed } = unpacked(dress, response);
      expect(packed).toBe(true);
      expect(response.body.length).toBeLessThan(SHORT);
      const { published } = decode(GetKeySetResponseSchema, dress, bytes);
      expect(Buffer.from(published!.keySet!.body)).toEqual(Buffer.alloc(LONG, "a"));
    });

    it("leaves as it is what nobody wants compressed", async () => {
      expect(await isPacked("long")).toBe(false);
      expect(await isPacked("long", { [accepting]: "identity, gzip;q=0" })).toBe(false);
      expect(await isPacked("long", { [accepting]: "deflate, xgzip" })).toBe(false);
    });

    it("leaves as it is what is short, or looks random", async () => {
      expect(await isPacked(dress.json ? "" : "short", { [accepting]: "gzip" })).toBe(false);
      // Base64 of what is random has a quarter to spare.
      expect(await isPacked("random", { [accepting]: "gzip" })).toBe(dress.json);
    });

    it("never compresses answers that hold secrets", async () => {
      expect(await isPacked("long", { [accepting]: "gzip" }, secretOrigin)).toBe(false);
      expect(await isPacked("", { [accepting]: "gzip" }, secretOrigin, LIST)).toBe(false);
    });

    it("writes bytes as they stand, compressed if that is wanted", async () => {
      for (const headers of [{}, { [accepting]: "gzip" }]) {
        const { response } = await ask("", headers, origin, LIST);
        const { message: bytes, packed } = unpacked(dress, response);
        expect(packed).toBe(accepting in headers);
        expect(Buffer.from(bytes)).toEqual(Buffer.from(inBytes.bytes(dress.json ? "json" : "proto")));
      }
    });

    it("sends headers and trailers of the method, but no names of the protocol", async () => {
      const { error, response } = await ask("metadata");
      expect(error).toBeUndefined();
      expect(response.headers.get("x-head")).toBe("1");
      expect(response.headers.get("content-type")).toBe(dress.contentType);
      expect(trailerOf(response, "x-tail-bin")).toBe("AAE");
    });

    it("sends them with a refusal too, with its own metadata and its words", async () => {
      const { error, response } = await ask("refused");
      expect([error!.code, error!.rawMessage]).toEqual([Code.Aborted, "50 % of «this»\r\n"]);
      expect(response.headers.get("x-head")).toBe("1");
      expect(trailerOf(response, "x-tail")).toBe("2");
      expect(dress.enveloped ? trailerOf(response, "x-reason") : response.headers.get("x-reason")).toBe("3");
    });

    it("tells who compresses otherwise what there is", async () => {
      const { error, response } = await ask("", { [dress.encodingHeader]: "zstd" });
      expect(error!.code).toBe(Code.Unimplemented);
      expect(response.headers.get(accepting) ?? trailerOf(response, accepting)).toBe("gzip");
    });

    it("aborts what goes on at the deadline, with the reason", { timeout: TIMEOUT_MS }, async () => {
      const { error } = await ask("wait", { [dress.timeoutHeader]: dress.enveloped ? "50m" : "50" });
      expect(error!.code).toBe(Code.DeadlineExceeded);
      expect(context.signal.aborted).toBe(true);
      expect(ConnectError.from(context.signal.reason).code).toBe(Code.DeadlineExceeded);
    });

    it("does not begin what is too late already", async () => {
      const before = context;
      const { error } = await ask("", { [dress.timeoutHeader]: dress.enveloped ? "0m" : "0" });
      expect(error!.code).toBe(Code.DeadlineExceeded);
      expect(context).toBe(before);
    });

    it("tells the method what was asked", async () => {
      await ask("", { "x-binary-bin": "AAE=", [dress.timeoutHeader]: dress.enveloped ? "20S" : "20000" });
      expect(context.requestHeader.get("x-binary-bin")).toBe("AAE=");
      expect([context.requestMethod, new URL(context.url).pathname]).toEqual(["POST", GET_KEY_SET]);
      expect(context.timeoutMs()).toBeLessThanOrEqual(20_000);
      expect(context.timeoutMs()).toBeGreaterThan(0);
      expect([context.service.typeName, context.method.name]).toEqual([
        "keypears.v1.KeySetService",
        "GetKeySet",
      ]);
      await ask("");
      expect(context.timeoutMs()).toBeUndefined();
    });
  });

  const get = (path: string, headers: Record<string, string> = {}) =>
    exchange({ origin, path: `${path}?encoding=proto&message=`, version, method: "GET", headers });

  it("lets caches keep answers in bytes, and tells who has them", async () => {
    const plain = await get(LIST);
    expect(plain.headers.get("cache-control")).toBe("max-age=60");
    expect([plain.headers.get("etag"), plain.headers.get("vary")]).toEqual(['"proto"', "accept-encoding"]);
    const packed = await get(LIST, { "accept-encoding": "gzip" });
    expect(packed.headers.get("etag")).toBe('"proto-gzip"');
    for (const tags of ['"proto"', 'W/"other", "proto-gzip"', "*"]) {
      const unchanged = await get(LIST, { "if-none-match": tags });
      expect([unchanged.status, unchanged.body.length]).toEqual([304, 0]);
      expect(unchanged.headers.get("etag")).toBe('"proto"');
    }
    expect((await get(LIST, { "if-none-match": '"json"' })).status).toBe(200);
  });

  it("lets caches keep no other answers", async () => {
    expect((await get(GET_KEY_SET)).headers.get("cache-control")).toBe("no-store");
    const refused = await exchange({
      origin,
      path: `${GET_KEY_SET}?encoding=json&message={`,
      version,
      method: "GET",
    });
    expect([refused.status, refused.headers.get("cache-control")]).toEqual([400, "no-store"]);
  });

  it("refuses a version of Connect that it does not speak", async () => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/json")!;
    const asked = { origin, path: GET_KEY_SET, version, body: request(dress, "") };
    const other = await call(dress, { ...asked, headers: { "connect-protocol-version": "2" } });
    expect(other.error!.code).toBe(Code.InvalidArgument);
    const ours = await call(dress, { ...asked, headers: { "connect-protocol-version": "1" } });
    expect(ours.error).toBeUndefined();
  });

  it("tells a method that is not there from one that its service leaves out", async () => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/json")!;
    const ask = (path: string) =>
      call(dress, { origin, path, version, body: new TextEncoder().encode("{}") });
    const unknown = await ask("/keypears.v1.KeySetService/Nope");
    expect([unknown.httpStatus, unknown.error!.code]).toEqual([404, Code.Unimplemented]);
    const missing = await ask(BATCH);
    expect([missing.httpStatus, missing.error!.code]).toEqual([501, Code.Unimplemented]);
  });
});

describe("over HTTP/2", () => {
  it("aborts what its caller no longer waits for", { timeout: TIMEOUT_MS }, async () => {
    entered = Promise.withResolvers();
    const session = connectHttp2(origin);
    const stream = session.request({
      ":method": "POST",
      ":path": GET_KEY_SET,
      "content-type": "application/proto",
    });
    stream.on("error", () => {});
    stream.end(toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, { address: "wait" })));
    await entered.promise;
    const { signal } = context;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    stream.close(constants.NGHTTP2_CANCEL);
    await aborted;

    expect(ConnectError.from(signal.reason).code).toBe(Code.Canceled);
    session.destroy();
  });

  it("refuses a gRPC call by trailers alone where the method set no headers", async () => {
    const dress = DRESSES[0]!;
    const body = envelope(Uint8Array.of(0xff));
    const { response } = await call(dress, { origin, path: GET_KEY_SET, version: "2", body });
    expect(response.headers.get("grpc-status")).toBe("3");
    expect([...response.trailers.keys()]).toEqual([]);
  });
});

/** A trailer, wherever its protocol puts trailers. */
function trailerOf({ headers, trailers, body }: WireResponse, name: string): string | undefined {
  const framed = new RegExp(`^${name}: (.*)\r$`, "m").exec(body.toString("latin1"))?.[1];
  return trailers.get(name) ?? headers.get(`trailer-${name}`) ?? framed;
}
