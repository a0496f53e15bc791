// POST /api/blake3 on a whole node: by raw requests over both versions of HTTP, and by fetch as a page has it.

import { connect, type Socket } from "node:net";
import { blake3 as nobleBlake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { exchange, HTTP_VERSIONS, type WireRequest } from "./wire.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MIB = 1024 * 1024;
const PATH = "/api/blake3";
const JSON_TYPE = { "content-type": "application/json" };

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ domain: "acme.test", flags: { "default-deadline-ms": 500 } });
});
afterAll(() => node.remove());

const reference = (text: string) => Buffer.from(nobleBlake3(Buffer.from(text))).toString("hex");

async function ask(request: Partial<WireRequest> & Pick<WireRequest, "version">, at = node) {
  const answer = await exchange({ origin: at.origin, path: PATH, headers: JSON_TYPE, ...request });
  const text = answer.body.toString();
  return { ...answer, text, json: text === "" ? undefined : JSON.parse(text) };
}

describe.each(HTTP_VERSIONS)("over HTTP/%s", (version) => {
  const post = (body: string | Uint8Array, headers: Record<string, string> = JSON_TYPE) =>
    ask({ version, headers, body: Buffer.from(body as string) });

  it.each<[string, string | Uint8Array, string]>([
    ["nothing", "", "MESSAGE_INVALID"],
    ["half a document", '{"data":"hunter2', "MESSAGE_INVALID"],
    ["bytes that are not UTF-8", Buffer.from('{"data":"\xff"}', "latin1"), "MESSAGE_INVALID"],
    ["a surrogate in bytes", Buffer.from('{"data":"\xed\xa0\x80"}', "latin1"), "MESSAGE_INVALID"],
    ["a byte order mark", '\ufeff{"data":"x"}', "MESSAGE_INVALID"],
    ["null", "null", "MESSAGE_INVALID"],
    ["a string", '"x"', "MESSAGE_INVALID"],
    ["a list", '[{"data":"x"}]', "MESSAGE_INVALID"],
    ["two documents", '{"data":"x"}{"data":"x"}', "MESSAGE_INVALID"],
    ["no data", "{}", "FIELD_INVALID"],
    ["data only in a prototype", '{"__proto__":{"data":"x"}}', "FIELD_INVALID"],
    ["another spelling", '{"Data":"x"}', "FIELD_INVALID"],
    ["null as data", '{"data":null}', "FIELD_INVALID"],
    ["a number as data", '{"data":7}', "FIELD_INVALID"],
    ["a list as data", '{"data":["x"]}', "FIELD_INVALID"],
    ["a high surrogate alone", '{"data":"\\ud800"}', "FIELD_INVALID"],
    ["a low surrogate alone", '{"data":"x\\udc00x"}', "FIELD_INVALID"],
    ["surrogates in the wrong order", '{"data":"\\udc00\\ud800"}', "FIELD_INVALID"],
    ["a thousand open brackets", "[".repeat(500_000), "MESSAGE_INVALID"],
  ])("refuses %s, without repeating it", async (_, body, reason) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(answer.json).toEqual({ error: { reason, message: expect.any(String) } });
    expect(answer.text).not.toContain("hunter2");
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });

  it.each<[Record<string, string>]>([
    [{}],
    [{ "content-type": "text/plain" }],
    [{ "content-type": "application/jsonx" }],
    [{ "content-type": "application/x-www-form-urlencoded" }],
    [{ ...JSON_TYPE, "content-encoding": "gzip" }],
  ])("refuses a body with %j", async (headers) => {
    const answer = await post('{"data":"x"}', headers);
    expect([answer.status, answer.json.error.reason]).toEqual([415, "CONTENT_TYPE_UNSUPPORTED"]);
  });

  it.each(["GET", "HEAD", "PUT", "DELETE"])("refuses %s, and says what there is", async (method) => {
    const answer = await ask({ version, method, headers: {} });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("refuses more than 1 MiB, declared or not, and takes all up to it", async () => {
    const frame = '{"data":""}'.length;
    const data = "x".repeat(MIB - frame);
    const largest = await post(`{"data":"${data}"}`);
    expect([largest.status, largest.json]).toEqual([200, { hash: reference(data) }]);
    const larger = await post(`{"data":"${data}x"}`);
    expect([larger.status, larger.json.error.reason]).toEqual([413, "MESSAGE_TOO_LARGE"]);
    const undeclared = { ...JSON_TYPE, ...(version === "1.1" && { "transfer-encoding": "chunked" }) };
    const chunked = await post(`{"data":"${data.repeat(3)}"}`, undeclared);
    expect([chunked.status, chunked.json.error.reason]).toEqual([413, "MESSAGE_TOO_LARGE"]);
  });

  it.each<[string, string]>([
    ["abc", '{"data":"abc"}'],
    ["", '{"data":""}'],
    ["\u0000", '{"data":"\\u0000"}'],
    ["\ufeffabc", '{"data":"\ufeffabc"}'],
    ["😀", '{"data":"\\ud83d\\ude00"}'],
    ["e\u0301", '{"data":"e\u0301"}'],
    ["last", '{"data":"first","data":"last"}'],
    ["abc", ' \n{ "more": [1, {"data": 2}], "data" : "abc" } '],
  ])("gives the hash of %j", async (data, body) => {
    const answer = await post(body, { "content-type": "Application/JSON; charset=utf-8" });
    expect([answer.status, answer.json]).toEqual([200, { hash: reference(data) }]);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("asks for no session, and an ended one is no hindrance", async () => {
    const answer = await post('{"data":"abc"}', { ...JSON_TYPE, authorization: `Bearer ${"A".repeat(43)}` });
    expect(answer.json).toEqual({ hash: reference("abc") });
  });

  it("answers a preflight of any origin", async () => {
    const headers = { origin: "https://app.example", "access-control-request-method": "POST" };
    const answer = await ask({ version, method: "OPTIONS", headers });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
    expect(answer.headers.get("access-control-allow-methods")).toBe("POST");
    expect(answer.headers.get("access-control-allow-headers")!.toLowerCase()).toContain("content-type");
  });

  it("is not to be found elsewhere", async () => {
    for (const path of ["/blake3", "/api/blake3/", "/api/BLAKE3", "/api/blake3x"]) {
      expect((await ask({ version, path, body: Buffer.from("{}") })).status).toBe(404);
    }
    expect((await ask({ version, path: `${PATH}?x=1`, body: Buffer.from('{"data":"x"}') })).status).toBe(200);
  });
});

it("agrees with another implementation on any text", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", maxLength: 500 }), async (data) => {
      const answer = await fetch(`${node.apiUrl}/blake3`, {
        method: "POST",
        headers: JSON_TYPE,
        body: JSON.stringify({ data }),
      });
      expect(await answer.json()).toEqual({ hash: reference(data) });
    }),
    { numRuns: 100 },
  );
});

it("gives up on a body that does not come", async () => {
  const socket = connect(node.port, "127.0.0.1");
  socket.write(
    `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
  );
  const answer = await received(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(answer).toContain('"DEADLINE_EXCEEDED"');
});

it("spends the budget of the caller's prefix, and says when to come back", async () => {
  const poor = await startTestNode({
    domain: "poor.test",
    flags: { "lookups-per-second": 1, "lookup-burst": 100 },
  });
  const post = () => ask({ version: "1.1", body: Buffer.from('{"data":"x"}') }, poor);
  const answers = await Promise.all(Array.from({ length: 105 }, post));
  const refused = answers.filter(({ status }) => status !== 200);
  expect(answers.length - refused.length).toBeGreaterThanOrEqual(100);
  expect(refused.length).toBeGreaterThan(0);
  for (const { status, json, headers } of refused) {
    expect([status, json.error.reason]).toEqual([429, "RATE_LIMITED"]);
    expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(headers.get("access-control-expose-headers")).toContain("Retry-After");
  }
  await poor.remove();
});

it("lives where the API URL says, when a proxy keeps the path", async () => {
  const hosted = await startTestNode({
    domain: "acme.test",
    flags: { "api-url": "http://127.0.0.1:4273/tenants/acme" },
  });
  for (const path of ["/tenants/acme/blake3", PATH]) {
    const answer = await ask({ version: "2", path, body: Buffer.from('{"data":"abc"}') }, hosted);
    expect(answer.json).toEqual({ hash: reference("abc") });
  }
  await hosted.remove();
});

it("leaves a line in the log without the text", async () => {
  await ask({ version: "2", body: Buffer.from('{"data":"hunter2"}') });
  const lines = () => node.log.filter((line) => line.includes("POST /blake3"));
  await expect.poll(() => lines().length).toBeGreaterThan(0);
  expect(node.log.join("")).not.toContain("hunter2");
});

async function received(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes("}}")) break;
  }
  socket.destroy();
  return text;
}
