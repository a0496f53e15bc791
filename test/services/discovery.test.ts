import { describe, expect, it } from "vitest";
import { ServerLimitsSchema } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { FetchDocument } from "../../src/federation/document-fetcher.ts";
import { PeerError, type PeerErrorReason } from "../../src/federation/errors.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import { createPerson, type NodeOptions, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

async function withNode(options: NodeOptions, test: (node: TestNode) => Promise<void>): Promise<void> {
  const node = await startNode(options);
  try {
    await test(node);
  } finally {
    await node.close();
  }
}

const partner: FetchDocument = async () => ({
  document: { version: 1, apiUrl: parseApiUrl("https://host.partner.test/api") },
  maxAgeMs: 60_000,
  tlsGroup: "X25519MLKEM768",
  fetchedUrl: "https://partner.test/.well-known/keypears.json",
});

describe("the description of a node", () => {
  it("names software, versions, limits and how accounts are made, to everyone", () =>
    withNode({ registrationOpen: false, development: false }, async (node) => {
      expect(await node.as().discovery.getServerInfo({})).toMatchObject({
        software: node.context.software,
        protocolVersions: [1],
        development: false,
        registrationMode: 2,
        serverTime: BigInt(node.now()),
        limits: { maxEnvelopeBytes: 262_144, maxBatchLookups: 100, maxAccountBytes: 10_485_760n },
      });
    }));

  it("tells every limit that the schema has a field for", () =>
    withNode({}, async (node) => {
      const { limits } = await node.as().discovery.getServerInfo({});
      const told = ServerLimitsSchema.fields.map(({ localName }) => [
        localName,
        Number(limits?.[localName as keyof typeof limits]),
      ]);
      expect(Object.fromEntries(told)).toEqual(node.context.limits);
    }));

  it("says that development resolution is on, and that accounts are open, where it is so", () =>
    withNode({ development: true, registrationOpen: true }, async (node) => {
      const info = await node.as().discovery.getServerInfo({});
      expect(info).toMatchObject({ development: true, registrationMode: 1 });
    }));
});

describe("resolving a domain", () => {
  it("needs a session", () =>
    withNode({ fetchDocument: partner }, async (node) => {
      const resolving = node.as().discovery.resolveDomain({ domain: "partner.test" });
      expect(await refusal(resolving)).toMatchObject({ code: "Unauthenticated", reason: "SESSION_REQUIRED" });
    }));

  it.each([
    "",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "partner.test.",
    "a b.test",
    "x".repeat(64).concat(".test"),
  ])("is refused for %j", (domain) =>
    withNode({ fetchDocument: partner }, async (node) => {
      const alice = await createPerson(node, "alice@acme.test");
      expect(await refusal(alice.discovery.resolveDomain({ domain }))).toMatchObject({
        code: "InvalidArgument",
        reason: "DOMAIN_INVALID",
        field: "domain",
      });
    }),
  );

  it("answers with where its methods live, for any spelling of it", () =>
    withNode({ fetchDocument: partner }, async (node) => {
      const alice = await createPerson(node, "alice@acme.test");
      expect(await alice.discovery.resolveDomain({ domain: "PARTNER.test" })).toMatchObject({
        domain: "partner.test",
        apiUrl: "https://host.partner.test/api",
        documentVersion: 1,
        fetchedAt: BigInt(node.now()),
        freshUntil: BigInt(node.now() + 60_000),
        tlsGroup: "X25519MLKEM768",
      });
    }));

  const REASONS: readonly [PeerErrorReason, string][] = [
    ["DOMAIN_NOT_FOUND", "NotFound"],
    ["DISCOVERY_FAILED", "Unavailable"],
    ["DISCOVERY_DOCUMENT_INVALID", "FailedPrecondition"],
    ["PEER_PROTOCOL_UNSUPPORTED", "FailedPrecondition"],
    ["PEER_ADDRESS_FORBIDDEN", "FailedPrecondition"],
    ["PEER_REDIRECT_REFUSED", "FailedPrecondition"],
    ["PEER_TLS_FAILED", "FailedPrecondition"],
    ["PEER_UNREACHABLE", "Unavailable"],
    ["PEER_TIMEOUT", "Unavailable"],
    ["PEER_RESPONSE_TOO_LARGE", "Unavailable"],
    ["PEER_BUSY", "Unavailable"],
  ];
  it.each(REASONS)("says %s with code %s where that is what it met", (reason, code) =>
    withNode(
      {
        fetchDocument: async (domain) => {
          throw new PeerError(reason, domain, "met something");
        },
      },
      async (node) => {
        const alice = await createPerson(node, "alice@acme.test");
        expect(await refusal(alice.discovery.resolveDomain({ domain: "partner.test" }))).toMatchObject({
          code,
          reason,
          message: "met something",
          metadata: { domain: "partner.test" },
        });
      },
    ),
  );

  it("is limited per account, so that nobody makes this node knock at doors all day", () =>
    withNode({ fetchDocument: partner, limits: { lookupsPerSecond: 1, lookupBurst: 2 } }, async (node) => {
      const alice = await createPerson(node, "alice@acme.test");
      for (const domain of ["one.test", "two.test"]) await alice.discovery.resolveDomain({ domain });
      expect(await refusal(alice.discovery.resolveDomain({ domain: "three.test" }))).toMatchObject({
        reason: "RATE_LIMITED",
      });
    }));
});
