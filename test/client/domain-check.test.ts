// What a browser finds out about a domain's host: a fetch that leads to a domain's document and to its host's methods.

import { Code, ConnectError, createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import { expect, it } from "vitest";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { fetchEnvironment } from "../../src/client/index.ts";
import { createDomainMemories, type DomainMemories } from "../../src/protocol/domain-memories.ts";
import { buildDomainProof } from "../../src/protocol/domain-proof.ts";
import {
  API_URL,
  authorized,
  consent,
  DAY,
  DOMAIN,
  hashOf,
  host,
  NOW,
  owner,
  rogue,
} from "../protocol/owned-domain.ts";
import { reasonOf } from "../support/clients.ts";

/** A domain in order, until a test changes it, and a browser that has never seen it. */
function makeWorld(memories: DomainMemories = createDomainMemories()) {
  const state = {
    now: NOW,
    document: { version: 2, apiUrl: API_URL, domainPubKeyHash: hashOf(owner) } as Record<string, unknown>,
    consent: consent(),
    hostKey: host,
    proofs: 0,
    refuses: false,
  };
  const router = createConnectRouter();
  router.service(DiscoveryService, {
    proveDomain({ nonce }) {
      state.proofs++;
      if (state.refuses) throw new ConnectError("not here", Code.Unavailable);
      const proof = buildDomainProof(state.consent, host, nonce, state.now);
      return { proof: { ...proof, nodePublicKey: state.hostKey.publicKey } };
    },
  });
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const { origin, pathname } = new URL(request.url);
    if (origin === `https://${DOMAIN}`) {
      const response = new Response(JSON.stringify(state.document));
      Object.defineProperty(response, "url", { value: request.url });
      return response;
    }
    const handler = router.handlers.find(({ requestPath }) => `/api${requestPath}` === pathname);
    return handler ? createFetchHandler(handler)(request) : new Response(null, { status: 404 });
  };
  const env = fetchEnvironment({ fetch, now: () => state.now, memories });
  return { state, memories, resolve: () => env.resolveDomain(DOMAIN) };
}

it("a host that proves its owner's consent is proven, with one call for five minutes", async () => {
  const { state, resolve } = makeWorld();
  for (let time = 0; time < 3; time++) expect(await resolve()).toEqual({ apiUrl: API_URL, proof: "proven" });
  expect(state.proofs).toBe(1);
  state.now += 5 * 60_000;
  await resolve();
  expect(state.proofs).toBe(2);
});

it("another document is proven anew, however little time has passed", async () => {
  const { state, resolve } = makeWorld();
  await resolve();
  state.document = { ...state.document, minSerial: 8 };
  expect(await reasonOf(resolve())).toBe("DOMAIN_UNPROVEN");
  expect(state.proofs).toBe(2);
});

it("a domain of version 1 is unproven, and asked for nothing", async () => {
  const { state, resolve } = makeWorld();
  state.document = { version: 1, apiUrl: API_URL };
  expect(await resolve()).toEqual({ apiUrl: API_URL, proof: "unproven" });
  expect(state.proofs).toBe(0);
});

it("a host with a copied authorization, or one that has ended, is refused", async () => {
  const copied = makeWorld();
  copied.state.hostKey = rogue;
  expect(await reasonOf(copied.resolve())).toBe("DOMAIN_UNPROVEN");
  const ended = makeWorld();
  ended.state.consent = consent({ authorization: authorized({ notAfter: NOW - 1 }) });
  expect(await reasonOf(ended.resolve())).toBe("DOMAIN_UNPROVEN");
});

it("a domain is held to what the application has seen of it, in another session too", async () => {
  const { memories, resolve } = makeWorld();
  await resolve();
  const before = await memories.read(DOMAIN);

  const downgraded = makeWorld(memories);
  downgraded.state.document = { version: 1, apiUrl: API_URL };
  expect(await reasonOf(downgraded.resolve())).toBe("DOMAIN_DOWNGRADED");
  expect(await memories.read(DOMAIN)).toEqual(before);

  const changed = makeWorld(memories);
  changed.state.document = { ...changed.state.document, domainPubKeyHash: hashOf(rogue) };
  changed.state.consent = { domainPublicKey: rogue.publicKey, authorization: authorized({}, rogue) };
  expect(await reasonOf(changed.resolve())).toBe("DOMAIN_CHANGED");
  expect((await memories.read(DOMAIN))?.memory.keyHash).toBe(before?.memory.keyHash);
});

it("a host that cannot be asked is no reason to distrust the domain", async () => {
  const { state, memories, resolve } = makeWorld();
  state.refuses = true;
  expect(await reasonOf(resolve())).toBe("NODE_UNREACHABLE");
  expect(await memories.read(DOMAIN)).toBeUndefined();
  state.refuses = false;
  state.now += DAY;
  expect((await resolve()).proof).toBe("proven");
});
