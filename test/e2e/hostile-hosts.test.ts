// Domains that lead to a hostile peer, a process of its own: whatever its discovery document and its answers are, whoever
// asks learns what was wrong, what was to be delivered is kept and shown with the reason, and the node goes on.

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DeliveryState, type Environment } from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import type { AddressLookup } from "../../src/federation/connection-policy.ts";
import { refusal } from "../services/refusal.ts";
import { delivered, environment, PATIENCE, type Person, shareIds, signUp } from "../support/clients.ts";
import { contentOf } from "../support/database.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { type PeerProcess, startPeer } from "../support/peer-process.ts";

const TIMEOUT_MS = 120_000;

/** What asking for a domain comes to, by the domain's first label. */
const DOCUMENTS: Readonly<Record<string, string>> = {
  "garbage-document": "DISCOVERY_DOCUMENT_INVALID",
  "html-document": "DISCOVERY_DOCUMENT_INVALID",
  "empty-document": "DISCOVERY_DOCUMENT_INVALID",
  "deep-document": "DISCOVERY_DOCUMENT_INVALID",
  "large-document": "PEER_RESPONSE_TOO_LARGE",
  "endless-document": "PEER_RESPONSE_TOO_LARGE",
  "compressed-document": "PEER_RESPONSE_INVALID",
  "older-document": "PEER_PROTOCOL_UNSUPPORTED",
  "newer-document": "PEER_PROTOCOL_UNSUPPORTED",
  "hanging-document": "PEER_TIMEOUT",
  "dripping-document": "PEER_TIMEOUT",
  "cut-document": "PEER_UNREACHABLE",
  "missing-document": "DOMAIN_NOT_FOUND",
  "failing-document": "DISCOVERY_FAILED",
  "redirect-to-private": "PEER_ADDRESS_FORBIDDEN",
  "redirect-to-metadata": "PEER_ADDRESS_FORBIDDEN",
  "redirect-to-mapped-private": "PEER_ADDRESS_FORBIDDEN",
  "redirect-to-loopback-name": "PEER_ADDRESS_FORBIDDEN",
  "redirect-to-file": "PEER_REDIRECT_REFUSED",
  "redirect-with-credentials": "PEER_REDIRECT_REFUSED",
  "redirect-in-circles": "PEER_REDIRECT_REFUSED",
  "api-at-private-address": "DISCOVERY_DOCUMENT_INVALID",
  "api-with-credentials": "DISCOVERY_DOCUMENT_INVALID",
};

/** What the sender of a share to a domain is told after an attempt to deliver it, by the domain's first label. */
const DELIVERIES: Readonly<Record<string, RegExp>> = {
  "garbage-document": /is not/,
  "api-at-loopback-name": /does not connect to loopback\.example/,
  "garbage-calls": /gave an answer that is none of this protocol/,
  "html-calls": /gave an answer that is none of this protocol/,
  "empty-calls": /another number of results than envelopes/,
  "cut-calls": /no connection with|broke|none of this protocol/,
  "endless-calls": /more than a message may have/,
  "bomb-calls": /more than a message may have|none of this protocol/,
  "redirect-calls": /answered a call with a redirect/,
  "forbidding-calls": /none of this protocol/,
  "hanging-calls": /did not answer in time/,
  "too-few-results": /another number of results than envelopes/,
  "too-many-results": /another number of results than envelopes/,
  "other-ids": /^the answer leaves open what became of the share$/,
  "no-ids": /^the answer leaves open what became of the share$/,
  "unspecified-outcomes": /^the answer leaves open what became of the share$/,
  "unknown-outcomes": /^the answer leaves open what became of the share$/,
  "later-forever": /^come back \[2Jlater $/,
};

const LABELS = [
  ...new Set([...Object.keys(DOCUMENTS), ...Object.keys(DELIVERIES)]),
  "duplicates",
  "penitent-results",
  "honest",
];

/** What DNS says: names that lead into the node's own network. */
const lookup: AddressLookup = (host, _options, callback) => {
  const addresses: Record<string, string> = {
    "loopback.example": "127.0.0.1",
    "private.example": "10.1.2.3",
    "mapped.example": "::ffff:192.168.0.1",
  };
  const address = addresses[host];
  if (address === undefined) callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), []);
  else callback(null, [{ address, family: address.includes(":") ? 6 : 4 }]);
};

describe("a domain of a hostile peer", () => {
  let peer: PeerProcess;
  let node: TestNode;
  let env: Environment;
  let alice: Person;
  const shares = new Map<string, Uint8Array>();
  /** Look-ups that take their time, begun together beforehand. */
  const slow = new Map<string, ReturnType<typeof refusal>>();

  beforeAll(async () => {
    peer = startPeer();
    const { port } = await peer.ask("listen", {});
    const origin = `http://127.0.0.1:${port}`;
    const resolve = new Map(LABELS.map((label) => [`${label}.test`, origin]));
    resolve.set("private-name.test", `https://private.example:${port}`);
    resolve.set("mapped-name.test", `https://mapped.example:${port}`);
    node = await startTestNode({ domain: "acme.test", resolve, overrides: { lookup } });
    const atHome = environment([node]);
    env = {
      ...atHome,
      // Recipients' keys come from the honest side of the peer: it is the node that is lied to.
      async resolveDomain(domain, signal) {
        return domain === "acme.test"
          ? atHome.resolveDomain(domain, signal)
          : { apiUrl: `${origin}/honest/api` };
      },
    };
    alice = await signUp(env, "alice@acme.test");
    for (const label of [...Object.keys(DELIVERIES), "duplicates", "honest"]) {
      const { shareId } = await alice.account.shares.send(`mallory@${label}.test`, {
        kind: "text",
        text: label,
      });
      shares.set(label, shareId);
    }
    for (const label of ["hanging-document", "dripping-document"]) slow.set(label, lookUp(label));
  }, TIMEOUT_MS);

  afterAll(async () => {
    await peer?.stop();
    await node?.remove();
  }, TIMEOUT_MS);

  /** What the node says when it is asked for a domain. */
  function lookUp(label: string): ReturnType<typeof refusal> {
    return refusal(alice.node.discovery.resolveDomain({ domain: `${label}.test` }));
  }

  /** That the node still takes a share, delivers it and gives it back. */
  async function requireHealthy(): Promise<void> {
    const { shareId } = await alice.account.shares.send(alice.address, {
      kind: "text",
      text: "still there?",
    });
    await delivered(alice, shareId);
    expect((await alice.account.shares.open(shareId)).content).toEqual({
      kind: "text",
      text: "still there?",
    });
    await alice.account.shares.delete(shareId, "received");
    await alice.account.shares.delete(shareId, "sent");
  }

  function shareTo(label: string): Uint8Array {
    const shareId = shares.get(label);
    if (!shareId) throw new Error(`nothing was sent to ${label}`);
    return shareId;
  }

  it.each(Object.entries(DOCUMENTS))("with a %s is %s", { timeout: TIMEOUT_MS }, async (label, reason) => {
    const refused = await (slow.get(label) ?? lookUp(label));

    expect(refused).toMatchObject({ reason, metadata: { domain: expect.any(String) } });
    expect(refused.message).toMatch(/^[\x20-\x7e]+$/);
    await requireHealthy();
  });

  it.each(["private-name.test", "mapped-name.test"])(
    "%s, which resolves to a private address, is not connected to",
    { timeout: TIMEOUT_MS },
    async (domain) => {
      const refused = await refusal(alice.node.discovery.resolveDomain({ domain }));

      expect(refused).toMatchObject({
        reason: "PEER_ADDRESS_FORBIDDEN",
        message: `this node does not connect to ${domain}: it has no address on the public internet`,
      });
      await requireHealthy();
    },
  );

  it("that is asked for without a session is not looked up at all", { timeout: TIMEOUT_MS }, async () => {
    const before = await peer.ask("counts");
    const { createClient } = await import("@connectrpc/connect");
    const { DiscoveryService } = await import("../../gen/keypears/v1/discovery_service_pb.ts");
    const discovery = createClient(DiscoveryService, env.transport(node.apiUrl));

    const refused = await refusal(discovery.resolveDomain({ domain: "never-asked.test" }));

    expect(refused.reason).toBe("SESSION_REQUIRED");
    expect((await peer.ask("counts")).requests["never-asked.test"]).toBe(before.requests["never-asked.test"]);
  });

  it.each(Object.entries(DELIVERIES))(
    "with %s keeps a share waiting, and tells its sender why",
    { timeout: TIMEOUT_MS },
    async (label, message) => {
      const shareId = shareTo(label);

      const status = await vi.waitFor(async () => {
        const now = await alice.account.shares.status(shareId);
        expect(now.attempts).toBeGreaterThan(0);
        expect(now.message).toMatch(message);
        return now;
      }, PATIENCE);

      expect([DeliveryState.QUEUED, DeliveryState.DELIVERING]).toContain(status.state);
      expect(status.message).not.toMatch(/\p{C}/u);
      await requireHealthy();
    },
  );

  it("that says it knows a share already may say so", { timeout: TIMEOUT_MS }, async () => {
    await delivered(alice, shareTo("duplicates"));
  });

  it("gets its shares when it stops lying", { timeout: TIMEOUT_MS }, async () => {
    const { shareId } = await alice.account.shares.send("mallory@penitent-results.test", {
      kind: "text",
      text: "once more",
    });
    await vi.waitFor(async () => {
      expect((await alice.account.shares.status(shareId)).attempts).toBeGreaterThan(0);
    }, PATIENCE);
    await peer.ask("reform", { label: "penitent-results" });

    await delivered(alice, shareId);
  });

  it("has led the node nowhere that it must not go", { timeout: TIMEOUT_MS }, async () => {
    expect((await peer.ask("counts")).trapped).toBe(0);
  });

  it("costs no share, over a restart of the node", { timeout: TIMEOUT_MS }, async () => {
    const ids = Array.from(shares.values(), (shareId) => toHex(shareId));
    expect(await shareIds(alice, "sent")).toEqual(expect.arrayContaining(ids));

    await node.stop();
    const before = await contentOf(node.database);
    await node.start();

    expect(await shareIds(alice, "sent")).toEqual(expect.arrayContaining(ids));
    expect((await contentOf(node.database)).sent_envelopes).toEqual(before.sent_envelopes);
    await requireHealthy();
  });
});
