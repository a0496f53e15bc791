import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DOCUMENT, startTestServer, type TestServer } from "./test-server.ts";
import { exchange, HTTP_VERSIONS } from "./wire.ts";

const DISCOVERY = "/.well-known/keypears.json";

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.stop());

describe.each(HTTP_VERSIONS)("over HTTP/%s", (version) => {
  const ask = (path: string, method = "GET", headers: Record<string, string> = {}) =>
    exchange({ origin: server.origin, path, version, method, headers });
  const discover = (host: string, headers: Record<string, string> = {}) =>
    ask(DISCOVERY, "GET", { host, ...headers });

  it.each(["acme.test", "ACME.test", "acme.test:8443", "acme.test.", "xn--bcher-kva.test"])(
    "serves the discovery document to %s",
    async (host) => {
      const answer = await discover(host);
      expect(answer.status).toBe(200);
      expect(answer.body.toString()).toBe(DOCUMENT);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("cache-control")).toBe("max-age=300");
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      expect(answer.headers.has("strict-transport-security")).toBe(false);
    },
  );

  it.each([
    "other.test",
    "sub.acme.test",
    "acme.test.evil.test",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "acme.test:x",
  ])("hosts nothing under %s", async (host) => {
    const answer = await discover(host);
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body.toString()).error).toMatchObject({
      reason: "DOMAIN_NOT_HOSTED",
      message: expect.stringContaining("does not host"),
    });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });

  it("says when the document has not changed", async () => {
    const etag = (await discover("acme.test")).headers.get("etag")!;
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const answer = await discover("acme.test", { "if-none-match": tags });
      expect([answer.status, answer.body.length, answer.headers.get("etag")]).toEqual([304, 0, etag]);
    }
    expect((await discover("acme.test", { "if-none-match": '"other"' })).status).toBe(200);
  });

  it("answers HEAD with the headers alone", async () => {
    const answer = await ask(DISCOVERY, "HEAD", { host: "acme.test" });
    expect([answer.status, answer.body.length]).toEqual([200, 0]);
    expect(answer.headers.get("content-length")).toBe(String(DOCUMENT.length));
  });

  it("refuses other methods, and says which there are", async () => {
    const answer = await ask(DISCOVERY, "POST", { host: "acme.test" });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    expect((await ask("/healthz", "DELETE")).headers.get("allow")).toBe("GET, HEAD");
  });

  it("answers a preflight for the document", async () => {
    const answer = await ask(DISCOVERY, "OPTIONS", { host: "acme.test", origin: "https://app.example" });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
  });

  it("is healthy while its database answers", async () => {
    const well = await ask("/healthz");
    expect([well.status, JSON.parse(well.body.toString())]).toEqual([200, { status: "ok" }]);
    expect(well.headers.get("cache-control")).toBe("no-store");
    server.databaseFails = true;
    const ill = await ask("/healthz");
    expect([ill.status, JSON.parse(ill.body.toString())]).toEqual([503, { status: "database unavailable" }]);
  });

  it.each([
    "/",
    "/api",
    "/api/",
    "/favicon.ico",
    "/keypears.v1.KeySetService",
    "/../etc/passwd",
    "/%2e%2e/x",
  ])("has nothing at %s", async (path) => {
    const answer = await ask(path);
    expect(answer.status).toBe(404);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
  });
});

describe("under development", () => {
  it("takes a request to the listener itself as one to its domain", async () => {
    const development = await startTestServer({ development: true });
    const ask = async (host: string) =>
      (await exchange({ ...development, path: DISCOVERY, version: "1.1", method: "GET", headers: { host } }))
        .status;
    try {
      expect(await ask(`127.0.0.1:${development.port}`)).toBe(200);
      expect(await ask(`localhost:${development.port}`)).toBe(200);
      expect(await ask(`[::1]:${development.port}`)).toBe(200);
      expect(await ask("127.0.0.1:1")).toBe(404);
      expect(await ask(`other.test:${development.port}`)).toBe(404);
    } finally {
      await development.stop();
    }
  });
});
