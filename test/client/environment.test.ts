import { expect, it } from "vitest";
import { fetchEnvironment } from "../../src/client/index.ts";
import { reasonOf } from "../support/clients.ts";

const DOCUMENT = '{"version":1,"apiUrl":"https://host.example/api"}';

/** Answers as fetch does when redirects led to `url`. */
function environmentAt(url: string, body: BodyInit = DOCUMENT, status = 200) {
  const fetch: typeof globalThis.fetch = async () => {
    const response = new Response(body, { status });
    Object.defineProperty(response, "url", { value: url });
    return response;
  };
  return fetchEnvironment({ fetch });
}

it("takes a discovery document over https, also from another host", async () => {
  const env = environmentAt("https://www.acme.example/.well-known/keypears.json");
  expect(await env.resolveDomain("acme.example")).toEqual({
    apiUrl: "https://host.example/api",
    proof: "unproven",
  });
});

it.each(["http://acme.example/.well-known/keypears.json", "data:application/json,{}", ""])(
  "refuses one that came from %j",
  async (url) => {
    expect(await reasonOf(environmentAt(url).resolveDomain("acme.example"))).toBe("PEER_REDIRECT_REFUSED");
  },
);

it("reads no more of one than it may have", async () => {
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new Uint8Array(16 * 1024));
    },
  });
  const env = environmentAt("https://acme.example/.well-known/keypears.json", endless);

  expect(await reasonOf(env.resolveDomain("acme.example"))).toBe("DISCOVERY_FAILED");
  expect(pulled).toBeLessThan(10);
});

it("says so where there is none", async () => {
  const env = environmentAt("https://acme.example/.well-known/keypears.json", "not found", 404);
  expect(await reasonOf(env.resolveDomain("acme.example"))).toBe("DISCOVERY_FAILED");
});
