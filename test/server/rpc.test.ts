import { gzipSync } from "node:zlib";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BadRequestSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { DeliverSharesRequestSchema } from "../../gen/keypears/v1/federation_service_pb.ts";
import {
  GetKeySetRequestSchema,
  GetKeySetResponseSchema,
  PublishKeySetRequestSchema,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { WatchSharesRequestSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { LIMITS, SESSION_TOKEN, startTestServer, type TestServer } from "./test-server.ts";
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

const GET_KEY_SET = "/keypears.v1.KeySetService/GetKeySet";
const PUBLISH = "/keypears.v1.KeySetService/PublishKeySet";
const WATCH = "/keypears.v1.ShareService/WatchShares";
const DELIVER = "/keypears.v1.FederationService/DeliverShares";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

function keySetRequest(dress: Dress, address: string): Uint8Array {
  const message = create(GetKeySetRequestSchema, { address, number: 7 });
  const bytes = dress.json
    ? new TextEncoder().encode(toJsonString(GetKeySetRequestSchema, message))
    : toBinary(GetKeySetRequestSchema, message);
  return dress.enveloped ? envelope(bytes) : bytes;
}

function publishRequest(dress: Dress, bytes: number): Uint8Array {
  const message = create(PublishKeySetRequestSchema, { loginKey: new Uint8Array(bytes) });
  const body = dress.json
    ? new TextEncoder().encode(toJsonString(PublishKeySetRequestSchema, message))
    : toBinary(PublishKeySetRequestSchema, message);
  return dress.enveloped ? envelope(body) : body;
}

describe.each(HTTP_VERSIONS)("over HTTP/%s", (version) => {
  const send = (dress: Dress, path: string, body: Uint8Array, headers: Record<string, string> = {}) =>
    call(dress, { origin: server.origin, path, version, body, headers });

  describe.each(DRESSES)("$name", (dress) => {
    const ask = (address: string, headers?: Record<string, string>) =>
      send(dress, GET_KEY_SET, keySetRequest(dress, address), headers);

    it("answers at the root and under /api", async () => {
      for (const prefix of ["", "/api"]) {
        const answer = await send(dress, prefix + GET_KEY_SET, keySetRequest(dress, "alice"));
        expect(answer.error).toBeUndefined();
        const { published } = decode(GetKeySetResponseSchema, dress, answer.messages[0]!);
        expect(new TextDecoder().decode(published!.keySet!.body)).toBe("alice");
        expect(published!.activeNumber).toBe(7);
      }
    });

    it("lets any origin read the answer, where a page could", async () => {
      const { response } = await ask("alice");
      // No page reads the trailers of gRPC.
      const readable = !dress.contentType.startsWith("application/grpc+");
      expect(response.headers.get("access-control-allow-origin")).toBe(readable ? "*" : null);
      expect(response.headers.has("access-control-allow-credentials")).toBe(false);
    });

    it.each([
      ["service-error", "NotFound", "ADDRESS_UNKNOWN"],
      ["protocol-error", "InvalidArgument", "ADDRESS_INVALID"],
      ["storage-error", "Unavailable", "DATABASE_UNAVAILABLE"],
      ["peer-error", "FailedPrecondition", "PEER_ADDRESS_FORBIDDEN"],
      ["bare-error", "Internal", "INTERNAL"],
      ["bug", "Internal", "INTERNAL"],
    ])("gives %s as %s with %s and nothing else", async (address, code, reason) => {
      const answer = await ask(address);
      expect([answer.code, answer.reasons]).toEqual([code, [reason]]);
    });

    it("names the field of a bad input, and when to come back", async () => {
      const bad = await ask("protocol-error");
      expect(bad.error!.findDetails(BadRequestSchema)[0]!.fieldViolations[0]!.field).toBe("address");
      const busy = await ask("storage-error");
      expect(busy.error!.findDetails(RetryInfoSchema)).toHaveLength(1);
    });

    it("keeps a bug's words in the log, under the id that the caller is given", async () => {
      const answer = await ask("bug");
      expect(answer.response.body.toString() + JSON.stringify([...answer.response.trailers])).not.toContain(
        "hunter2",
      );
      const id = /request ([0-9a-f]{16})/.exec(answer.error!.rawMessage)![1];
      const entry = server.log.find(({ level, fields }) => level === "error" && fields.requestId === id);
      expect(String((entry!.fields.err as Error).stack)).toContain("hunter2");
    });

    it("refuses what is no message", async () => {
      const garbage = Uint8Array.of(0xff, 0xff, 0xff);
      const answer = await send(dress, GET_KEY_SET, dress.enveloped ? envelope(garbage) : garbage);
      expect([answer.code, answer.reasons]).toEqual(["InvalidArgument", ["MESSAGE_INVALID"]]);
    });

    it("refuses text that is not UTF-8", async () => {
      const broken = dress.json ? Buffer.from('{"address":"\xff"}', "latin1") : Uint8Array.of(0x0a, 1, 0xff);
      const answer = await send(dress, GET_KEY_SET, dress.enveloped ? envelope(broken) : broken);
      expect([answer.code, answer.reasons]).toEqual(["InvalidArgument", ["MESSAGE_INVALID"]]);
    });

    it("refuses a message above the limit, and takes a larger one with a session", async () => {
      const large = publishRequest(dress, LIMITS.maxAnonymousRequestBytes);
      const anonymous = await send(dress, PUBLISH, large);
      expect([anonymous.code, anonymous.reasons]).toEqual(["ResourceExhausted", ["MESSAGE_TOO_LARGE"]]);
      const stranger = await send(dress, PUBLISH, large, { authorization: "Bearer nonsense" });
      expect(stranger.reasons).toEqual(["MESSAGE_TOO_LARGE"]);
      const known = await send(dress, PUBLISH, large, { authorization: `Bearer ${SESSION_TOKEN}` });
      expect(known.error).toBeUndefined();
      const tooLarge = await send(dress, PUBLISH, publishRequest(dress, LIMITS.maxRequestBytes), {
        authorization: `Bearer ${SESSION_TOKEN}`,
      });
      expect(tooLarge.reasons).toEqual(["MESSAGE_TOO_LARGE"]);
    });

    it("takes a message that is compressed with gzip", async () => {
      const plain = keySetRequest({ ...dress, enveloped: false }, "alice");
      const packed = gzipSync(plain);
      const answer = await send(dress, GET_KEY_SET, dress.enveloped ? envelope(packed, 1) : packed, {
        [dress.encodingHeader]: "gzip",
      });
      expect(answer.error).toBeUndefined();
    });

    it("refuses a message that is above the limit only once it is decompressed", async () => {
      const plain = publishRequest({ ...dress, enveloped: false }, LIMITS.maxAnonymousRequestBytes * 100);
      const packed = gzipSync(plain);
      expect(packed.length).toBeLessThan(LIMITS.maxAnonymousRequestBytes);
      const answer = await send(dress, PUBLISH, dress.enveloped ? envelope(packed, 1) : packed, {
        [dress.encodingHeader]: "gzip",
      });
      expect([answer.code, answer.reasons]).toEqual(["ResourceExhausted", ["MESSAGE_TOO_LARGE"]]);
    });

    it("refuses a message that does not decompress, or is compressed in an unknown way", async () => {
      const garbage = Buffer.from("this is not gzip");
      const body = dress.enveloped ? envelope(garbage, 1) : garbage;
      const broken = await send(dress, GET_KEY_SET, body, { [dress.encodingHeader]: "gzip" });
      expect([broken.code, broken.reasons]).toEqual(["InvalidArgument", ["MESSAGE_INVALID"]]);
      const unknown = await send(dress, GET_KEY_SET, body, { [dress.encodingHeader]: "zstd" });
      expect([unknown.code, unknown.reasons]).toEqual(["Unimplemented", ["ENCODING_UNSUPPORTED"]]);
    });

    it("ends a call at its deadline, also when the method does not look at it", async () => {
      const answer = await ask("forever", {
        [dress.timeoutHeader]: dress.timeoutHeader === "grpc-timeout" ? "50m" : "50",
      });
      expect([answer.code, answer.reasons]).toEqual(["DeadlineExceeded", ["DEADLINE_EXCEEDED"]]);
    });

    it("refuses a deadline that is none", async () => {
      const answer = await ask("alice", { [dress.timeoutHeader]: "soon" });
      expect([answer.code, answer.reasons]).toEqual(["InvalidArgument", ["FIELD_INVALID"]]);
    });

    it("refuses an unknown method", async () => {
      for (const path of ["/keypears.v1.KeySetService/Nope", "/api/keypears.v9.Nope/GetKeySet"]) {
        const answer = await send(dress, path, keySetRequest(dress, "alice"));
        expect([answer.code, answer.reasons]).toEqual(["Unimplemented", ["METHOD_UNKNOWN"]]);
      }
    });

    it("refuses a method that its service leaves out", async () => {
      const answer = await send(
        dress,
        "/keypears.v1.KeySetService/ListKeySets",
        keySetRequest(dress, "alice"),
      );
      expect([answer.code, answer.reasons]).toEqual(["Unimplemented", ["METHOD_UNKNOWN"]]);
    });

    it("says whether a token opened a session", async () => {
      const statusWith = async (headers?: Record<string, string>) =>
        decode(GetKeySetResponseSchema, dress, (await ask("alice", headers)).messages[0]!).published!
          .firstContactDifficulty;
      expect(await statusWith()).toBe(1);
      expect(await statusWith({ authorization: "Bearer x" })).toBe(2);
      expect(await statusWith({ authorization: `Bearer ${SESSION_TOKEN}` })).toBe(3);
    });
  });

  describe.each(DRESSES.filter((dress) => dress.enveloped))("$name", (dress) => {
    const message = (dress.json ? Buffer.from("{}") : Buffer.alloc(0)) as Uint8Array;

    it.each([
      ["no message at all", () => new Uint8Array(0), "Unimplemented", "MESSAGE_COUNT_INVALID"],
      [
        "two messages",
        () => Buffer.concat([envelope(message), envelope(message)]),
        "Unimplemented",
        "MESSAGE_COUNT_INVALID",
      ],
      ["half an envelope", () => Uint8Array.of(0, 0, 0), "InvalidArgument", "MESSAGE_INVALID"],
      [
        "a message that is cut off",
        () => Uint8Array.of(0, 0, 0, 0, 9, 1),
        "InvalidArgument",
        "MESSAGE_INVALID",
      ],
      ["unknown flags", () => envelope(message, 0x40), "InvalidArgument", "MESSAGE_INVALID"],
      [
        "a compressed message without its encoding",
        () => envelope(message, 1),
        "Internal",
        "ENCODING_MISSING",
      ],
      [
        "an envelope that announces 4 GiB",
        () => Uint8Array.of(0, 255, 255, 255, 255, 1),
        "ResourceExhausted",
        "MESSAGE_TOO_LARGE",
      ],
    ])("refuses %s", async (_, body, code, reason) => {
      const answer = await send(dress, GET_KEY_SET, body());
      expect([answer.code, answer.reasons]).toEqual([code, [reason]]);
    });
  });

  it("names the JSON field that is wrong without repeating its value", async () => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/json")!;
    const answer = await send(dress, GET_KEY_SET, Buffer.from('{"number":"hunter2"}'));
    expect(answer.reasons).toEqual(["FIELD_INVALID"]);
    expect(answer.error!.findDetails(BadRequestSchema)[0]!.fieldViolations[0]!.field).toBe("number");
    expect(answer.response.body.toString()).not.toContain("hunter2");
  });

  it.each(['{"address":"\\ud800"}', "[]", "null", '"x"', "{", ""])("refuses the JSON %s", async (json) => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/json")!;
    const answer = await send(dress, GET_KEY_SET, Buffer.from(json));
    expect(answer.code).toBe("InvalidArgument");
    expect(answer.reasons).toHaveLength(1);
  });

  it("ignores unknown fields of ordinary messages", async () => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/json")!;
    const answer = await send(dress, GET_KEY_SET, Buffer.from('{"address":"alice","later":1}'));
    expect(answer.error).toBeUndefined();
  });

  it("takes a large delivery without a session", async () => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/proto")!;
    const body = toBinary(
      DeliverSharesRequestSchema,
      create(DeliverSharesRequestSchema, {
        envelopes: [{ header: new Uint8Array(LIMITS.maxAnonymousRequestBytes) }],
      }),
    );
    expect((await send(dress, DELIVER, body)).error).toBeUndefined();
  });

  it("answers a refused upload of sensible size and then goes on", async () => {
    const dress = DRESSES.find(({ contentType }) => contentType === "application/grpc+proto")!;
    const answer = await send(dress, PUBLISH, publishRequest(dress, 3 * 1024 * 1024));
    expect(answer.reasons).toEqual(["MESSAGE_TOO_LARGE"]);
    expect((await send(dress, GET_KEY_SET, keySetRequest(dress, "alice"))).error).toBeUndefined();
  });

  it("answers Connect's GET for methods without side effects only", async () => {
    const get = (path: string) => exchange({ origin: server.origin, path, version, method: "GET" });
    const query = `?connect=v1&encoding=json&message=${encodeURIComponent('{"address":"alice","number":7}')}`;
    const answer = await get(GET_KEY_SET + query);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString()).published.activeNumber).toBe(7);
    const binary = toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, { number: 8 }));
    const base64 = Buffer.from(binary).toString("base64url");
    const second = await get(`${GET_KEY_SET}?connect=v1&encoding=proto&base64=1&message=${base64}`);
    expect(decode(GetKeySetResponseSchema, DRESSES[0]!, second.body).published!.activeNumber).toBe(8);
    expect((await get(`${GET_KEY_SET}?connect=v1&encoding=xml&message=1`)).status).toBe(415);
    expect((await get(`${GET_KEY_SET}?encoding=proto&base64=1&message=%21`)).status).toBe(400);
    const refused = await get(PUBLISH + query);
    expect([refused.status, refused.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  });

  it("answers preflights of any origin", async () => {
    const answer = await exchange({
      origin: server.origin,
      path: `/api${GET_KEY_SET}`,
      version,
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,connect-protocol-version,content-type",
      },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(answer.headers.get("access-control-allow-methods")).toBe("POST, GET");
    const allowed = answer.headers.get("access-control-allow-headers")!.toLowerCase().split(", ");
    expect(allowed).toEqual(
      expect.arrayContaining(["authorization", "connect-protocol-version", "content-type", "x-grpc-web"]),
    );
    expect(answer.headers.has("access-control-allow-credentials")).toBe(false);
  });

  it("refuses content types that carry no call", async () => {
    for (const [path, contentType] of [
      [GET_KEY_SET, "text/plain"],
      [GET_KEY_SET, "application/connect+proto"],
      [GET_KEY_SET, "application/grpc-web-text"],
      [WATCH, "application/json"],
    ] as const) {
      const headers = { "content-type": contentType };
      const answer = await exchange({
        origin: server.origin,
        path,
        version,
        headers,
        body: Buffer.from("{}"),
      });
      expect(answer.status).toBe(415);
      expect(answer.headers.get("accept-post")).toContain("application/grpc");
    }
  });

  describe.each([CONNECT_STREAM, ...DRESSES.filter(({ enveloped, json }) => enveloped && !json)])(
    "a stream in $name",
    (dress) => {
      const watch = (afterSequence: bigint, headers?: Record<string, string>) => {
        const message = create(WatchSharesRequestSchema, { afterSequence });
        return send(dress, WATCH, envelope(toBinary(WatchSharesRequestSchema, message)), headers);
      };

      it("ends well", async () => {
        const answer = await watch(1n);
        expect(answer.error).toBeUndefined();
        expect(answer.messages).toHaveLength(1);
      });

      it("ends with one reason when the method fails in the middle", async () => {
        const answer = await watch(2n);
        expect(answer.messages).toHaveLength(1);
        expect([answer.code, answer.reasons]).toEqual(["Internal", ["INTERNAL"]]);
        expect(answer.error!.rawMessage).not.toContain("hunter2");
      });

      it("ends at its deadline", async () => {
        const answer = await watch(3n, {
          [dress.timeoutHeader]: dress.timeoutHeader === "grpc-timeout" ? "50m" : "50",
        });
        expect([answer.code, answer.reasons]).toEqual(["DeadlineExceeded", ["DEADLINE_EXCEEDED"]]);
      });

      it("refuses a broken request, and an unknown method", async () => {
        const broken = await send(dress, WATCH, envelope(Uint8Array.of(0xff)));
        expect([broken.code, broken.reasons]).toEqual(["InvalidArgument", ["MESSAGE_INVALID"]]);
        const unknown = await send(dress, "/keypears.v1.ShareService/Nope", envelope(new Uint8Array(0)));
        expect([unknown.code, unknown.reasons]).toEqual(["Unimplemented", ["METHOD_UNKNOWN"]]);
      });
    },
  );
});

describe("the log", () => {
  it("has one line for each call, without its token and its content", async () => {
    const dress = DRESSES[0]!;
    const before = server.log.length;
    const headers = { authorization: `Bearer ${SESSION_TOKEN}` };
    const body = keySetRequest(dress, "service-error");
    await call(dress, { origin: server.origin, path: GET_KEY_SET, version: "2", body, headers });
    await expect
      .poll(() => server.log.slice(before).filter(({ message }) => message === "call"))
      .toHaveLength(1);
    const [entry] = server.log.slice(before).filter(({ message }) => message === "call");
    expect(entry!.fields).toMatchObject({
      method: "keypears.v1.KeySetService/GetKeySet",
      protocol: "grpc",
      code: "NOT_FOUND",
      reason: "ADDRESS_UNKNOWN",
      prefix: "127.0.0.0/24",
      bytesIn: body.length,
    });
    expect(JSON.stringify(server.log)).not.toContain(SESSION_TOKEN);
    expect(JSON.stringify(entry)).not.toContain("service-error");
  });
});
