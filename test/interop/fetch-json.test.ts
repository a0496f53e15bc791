// Plain JSON over HTTP, as anyone writes it with fetch who has never heard of RPC: at the root and under /api, by POST and,
// for what has no side effects, by GET; from web pages of any origin.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { environment, type Person, signUp } from "../support/clients.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 60_000;
const METHOD = "keypears.v1.KeySetService/GetKeySet";

/** An error in JSON (connectrpc.com/docs/protocol, "Error end-stream"). */
interface ErrorJson {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: string; readonly debug?: unknown }[];
}

describe("fetch with JSON", () => {
  let node: TestNode;
  let alice: Person;

  beforeAll(async () => {
    node = await startTestNode({ domain: "acme.test" });
    alice = await signUp(environment([node]), "alice@acme.test");
  }, TIMEOUT_MS);

  afterAll(() => node?.remove(), TIMEOUT_MS);

  function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${node.origin}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  }

  it.each(["", "/api"])(
    "gets a key set below %j, bytes in base64",
    { timeout: TIMEOUT_MS },
    async (prefix) => {
      const response = await post(`${prefix}/${METHOD}`, { address: "alice@acme.test" });

      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
      const { published } = (await response.json()) as {
        published: { keySet: { body: string; selfSignature: string }; activeNumber: number };
      };
      const { keySet } = (await alice.account.keyRing())[0];
      expect(Buffer.from(published.keySet.body, "base64")).toEqual(Buffer.from(keySet.body));
      expect(Buffer.from(published.keySet.selfSignature, "base64")).toHaveLength(3_373);
      expect(published.activeNumber).toBe(1);
    },
  );

  it.each([
    ["JSON", { encoding: "json", message: '{"address":"alice@acme.test","view":"KEY_SET_VIEW_BODY"}' }],
    [
      "JSON in base64",
      {
        encoding: "json",
        base64: "1",
        message: Buffer.from('{"address":"alice@acme.test"}').toString("base64url"),
      },
    ],
  ])(
    "gets a key set by GET, the message in the query as %s",
    { timeout: TIMEOUT_MS },
    async (_, parameters) => {
      const query = new URLSearchParams({ connect: "v1", ...parameters });

      const response = await fetch(`${node.apiUrl}/${METHOD}?${query}`);

      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ published: { activeNumber: 1 } });
    },
  );

  it("gets a key set by GET, the message in the query as protobuf", { timeout: TIMEOUT_MS }, async () => {
    // Field 1, 15 bytes of text.
    const message = Buffer.concat([Buffer.from([0x0a, 15]), Buffer.from("alice@acme.test")]);
    const query = new URLSearchParams({
      encoding: "proto",
      base64: "1",
      message: message.toString("base64url"),
    });

    const response = await fetch(`${node.apiUrl}/${METHOD}?${query}`);

    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/proto");
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(6_000);
  });

  it("changes nothing by GET", { timeout: TIMEOUT_MS }, async () => {
    const query = new URLSearchParams({ encoding: "json", message: "{}" });

    const response = await fetch(`${node.apiUrl}/keypears.v1.AccountService/LogOut?${query}`, {
      headers: { authorization: `Bearer ${alice.signedIn.credentials.sessionToken}` },
    });

    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toMatch(/POST/);
    expect((await alice.account.sessions()).sessions).toHaveLength(1);
  });

  it("lists what its account received with a bearer token", { timeout: TIMEOUT_MS }, async () => {
    const { sessionToken } = alice.signedIn.credentials;
    await alice.account.shares.send(alice.address, { kind: "text", text: "to me" });

    const response = await post(
      "/api/keypears.v1.ShareService/ListShares",
      { box: "SHARE_BOX_SENT" },
      {
        authorization: `Bearer ${sessionToken}`,
      },
    );

    const { shares } = (await response.json()) as { shares: { sender: string; createdAt: string }[] };
    expect(shares).toHaveLength(1);
    expect(shares[0]?.sender).toBe("alice@acme.test");
    expect(shares[0]?.createdAt).toMatch(/^\d{13}$/);
  });

  it("reads from an error its code, its message, its reason and the field", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const response = await post(`/api/${METHOD}`, { address: "nobody at all" });

    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/json");
    const error = (await response.json()) as ErrorJson;
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toMatch(/address/);
    expect(error.details.map(({ type }) => type)).toEqual(["google.rpc.ErrorInfo", "google.rpc.BadRequest"]);
    expect(error.details[0]?.debug).toMatchObject({ reason: "ADDRESS_INVALID", domain: "keypears.v1" });
    expect(error.details[1]?.debug).toMatchObject({ fieldViolations: [{ field: "address" }] });
    expect(Buffer.from(error.details[0]?.value ?? "", "base64").toString("latin1")).toContain(
      "ADDRESS_INVALID",
    );
  });

  it.each<[number, string, string, unknown]>([
    [404, "not_found", METHOD, { address: "nobody@acme.test" }],
    [401, "unauthenticated", "keypears.v1.ShareService/ListShares", {}],
    [400, "failed_precondition", METHOD, { address: "alice@elsewhere.test" }],
    [404, "unimplemented", "keypears.v1.KeySetService/GetNothing", {}],
  ])("gets status %i for %s", { timeout: TIMEOUT_MS }, async (status, code, method, body) => {
    const response = await post(`/api/${method}`, body);

    expect([response.status, ((await response.json()) as ErrorJson).code]).toEqual([status, code]);
  });

  it("may be done by a page of any origin, without cookies", { timeout: TIMEOUT_MS }, async () => {
    const origin = "https://app.example";
    const preflight = await fetch(`${node.apiUrl}/${METHOD}`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers":
          "authorization,content-type,connect-protocol-version,connect-timeout-ms",
      },
    });

    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-methods")).toBe("POST, GET");
    const allowed = (preflight.headers.get("access-control-allow-headers") ?? "").toLowerCase();
    for (const header of [
      "authorization",
      "content-type",
      "connect-protocol-version",
      "connect-timeout-ms",
    ]) {
      expect(allowed).toContain(header);
    }
    expect(preflight.headers.get("access-control-allow-credentials")).toBeNull();
    const good = await post(`/api/${METHOD}`, { address: "alice@acme.test" }, { origin });
    const bad = await post(`/api/${METHOD}`, { address: "nobody@acme.test" }, { origin });
    for (const { headers } of [good, bad]) expect(headers.get("access-control-allow-origin")).toBe("*");
  });

  it("finds the discovery document, which may be asked for again by its tag", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const url = `${node.origin}/.well-known/keypears.json`;

    const first = await fetch(url);
    const again = await fetch(url, { headers: { "if-none-match": first.headers.get("etag") ?? "" } });

    expect(await first.json()).toEqual({ version: 1, apiUrl: node.apiUrl });
    expect(first.headers.get("cache-control")).toBe("max-age=300");
    expect(first.headers.get("access-control-allow-origin")).toBe("*");
    expect(again.status).toBe(304);
  });
});
