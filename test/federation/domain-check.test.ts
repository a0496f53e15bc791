// Domains that prove themselves, and hosts that pretend to, looked at over real TLS and real DNS.

import { describe, expect, it } from "vitest";
import { randomBytes } from "../../src/crypto/bytes.ts";
import { generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { buildDomainProof } from "../../src/protocol/domain-proof.ts";
import { DAY, DOMAIN, type DomainWorld, HOUR, MINUTE, makeWorld, NOW } from "./domain-world.ts";
import { peerError } from "./network.ts";

describe("a domain that proves itself", () => {
  it("costs one document, one TXT look-up and one call, and nothing while it is cached", async () => {
    const { node, asked, host, pass } = await makeWorld();
    const resolved = await node.resolve();
    expect(resolved).toMatchObject({ domain: DOMAIN, documentVersion: 2, proof: "proven" });
    expect(resolved.apiUrl.href).toBe(host.apiUrl);
    expect(asked).toEqual({ documents: 1, records: 1, proofs: 1 });

    pass(5 * MINUTE - 1);
    expect(await Promise.all(Array.from({ length: 20 }, () => node.resolve()))).toEqual(
      Array(20).fill(resolved),
    );
    expect(asked).toEqual({ documents: 1, records: 1, proofs: 1 });

    pass(DAY + 5 * MINUTE);
    expect((await node.resolve()).proof).toBe("proven");
    expect(asked).toEqual({ documents: 2, records: 2, proofs: 2 });
  });

  it("is remembered, and what is remembered is written when it changes and not at every look", async () => {
    const { node, memory, pass, host, authorize, owner, documentOf } = await makeWorld();
    await node.checks.look(DOMAIN);
    const first = await memory();
    expect(first).toMatchObject({ revision: 1, memory: { serial: 7, txtSeen: true, provenAt: NOW } });
    expect(first?.memory.keyHash).toBe(documentOf(owner).domainPubKeyHash);
    pass(HOUR - 1);
    await node.checks.look(DOMAIN);
    expect((await memory())?.revision).toBe(1);
    pass(1);
    await node.checks.look(DOMAIN);
    expect(await memory()).toMatchObject({ revision: 2, memory: { provenAt: NOW + HOUR } });
    host.consent = authorize({ serial: 8 });
    await node.checks.look(DOMAIN);
    expect(await memory()).toMatchObject({ revision: 3, memory: { serial: 8 } });
  });

  it("needs no TXT record, as long as there never was one", async () => {
    const { node, publishTxt, memory } = await makeWorld();
    publishTxt(undefined);
    expect((await node.resolve()).proof).toBe("proven");
    expect((await memory())?.memory.txtSeen).toBe(false);
  });

  it("of version 1 costs no call and proves nothing", async () => {
    const { node, site, host, asked, memory } = await makeWorld();
    site.document = { version: 1, apiUrl: host.apiUrl };
    expect(await node.resolve()).toMatchObject({ documentVersion: 1, proof: "unproven" });
    expect(asked).toMatchObject({ documents: 1, proofs: 0 });
    expect(await memory()).toBeUndefined();
  });

  it("of version 1 is refused by a node that requires proof", async () => {
    const { node, site, host } = await makeWorld({ requireProven: true });
    expect((await node.resolve()).proof).toBe("proven");
    const other = await makeWorld({ requireProven: true });
    other.site.document = { version: 1, apiUrl: host.apiUrl };
    site.document = undefined;
    expect(await peerError(other.node.resolve())).toMatchObject({ reason: "DOMAIN_UNPROVEN" });
  });
});

/** What is wrong with a host, a document or a record, and a word of what the owner reads. */
const DECEPTIONS: readonly [what: string, word: string, arrange: (world: DomainWorld) => void][] = [
  [
    "an authorization by another key",
    "names the domain key",
    ({ host, authorize }) => {
      host.consent = authorize({}, generateCompositeKeyPair());
    },
  ],
  [
    "an authorization by another key under the domain's name",
    "signature",
    (world) => {
      const forged = world.authorize({}, generateCompositeKeyPair());
      world.host.consent = { ...forged, domainPublicKey: world.owner.publicKey };
    },
  ],
  [
    "an authorization that has ended",
    "ended",
    ({ host, authorize }) => {
      host.consent = authorize({ notBefore: NOW - 30 * DAY, notAfter: NOW - 1 });
    },
  ],
  [
    "an authorization that has not begun",
    "holds from",
    ({ host, authorize }) => {
      host.consent = authorize({ notBefore: NOW + HOUR });
    },
  ],
  [
    "an authorization for another domain",
    "not for acme.test",
    ({ host, authorize }) => {
      host.consent = authorize({ domain: "other.test" });
    },
  ],
  [
    "an authorization for another URL",
    "https://other.test/api",
    ({ host, authorize }) => {
      host.consent = authorize({ apiUrl: "https://other.test/api" });
    },
  ],
  [
    "a serial below the document's minimum",
    "serial 7",
    (world) => {
      world.site.document = { ...world.documentOf(world.owner), minSerial: 8 };
    },
  ],
  [
    "a proof from before",
    "does not verify",
    ({ host }) => {
      const { consent, key } = host;
      const old = consent && buildDomainProof(consent, key, randomBytes(32), NOW);
      host.answer = () => old as NonNullable<typeof old>;
    },
  ],
  [
    "a proof that is dated an hour ago",
    "dated",
    ({ host }) => {
      host.answer = (_domain, nonce) => buildDomainProof(host.consent!, host.key, nonce, NOW - HOUR);
    },
  ],
  [
    "a copied authorization and a node key that it does not name",
    "node",
    ({ host, rogue }) => {
      host.answer = (_domain, nonce) => {
        const honest = buildDomainProof(host.consent!, host.key, nonce, NOW);
        return { ...honest, nodePublicKey: rogue.key.publicKey };
      };
    },
  ],
  ["a TXT record of another key", "TXT", ({ publishTxt }) => publishTxt(generateCompositeKeyPair())],
  [
    "a TXT record that cannot be read",
    "TXT",
    ({ dns }) => {
      dns.zone.set("_keypears.acme.test", { txt: ["v=kp2; h=none"] });
    },
  ],
  [
    "nothing to show",
    "proof",
    ({ host }) => {
      host.consent = undefined;
    },
  ],
];

describe("a domain with", () => {
  it.each(DECEPTIONS.slice(0, -1))(
    "%s is refused, and nothing is remembered of it",
    async (_what, word, arrange) => {
      const world = await makeWorld();
      arrange(world);
      const error = await peerError(world.node.resolve());
      expect(error).toMatchObject({ reason: "DOMAIN_UNPROVEN", domain: DOMAIN, retryable: false });
      expect(error.message).toContain(word);
      expect(await world.memory()).toBeUndefined();
    },
  );

  it.each(DECEPTIONS)(
    "%s is no longer used although it was good before, and changes no memory",
    async (_what, _word, arrange) => {
      const world = await makeWorld();
      await world.node.resolve();
      const before = await world.memory();
      arrange(world);
      expect(await peerError(world.anotherNode().resolve())).toBeDefined();
      expect(await world.memory()).toEqual(before);
    },
  );
});

describe("a host", () => {
  it("that shows the proof of the true one is refused", async () => {
    const { node, site, owner, rogue, host, documentOf, memory } = await makeWorld();
    site.document = documentOf(owner, rogue.apiUrl);
    rogue.answer = (_domain, nonce) => buildDomainProof(host.consent!, host.key, nonce, NOW);
    const error = await peerError(node.resolve());
    expect(error).toMatchObject({ reason: "DOMAIN_UNPROVEN" });
    expect(error.message).toContain(rogue.apiUrl);
    expect(await memory()).toBeUndefined();
  });
});

describe("what cannot be had", () => {
  it("a host that cannot be connected to is named as that, and distrusted for nothing", async () => {
    const { node, dns } = await makeWorld();
    dns.zone.delete("host.test");
    expect(await peerError(node.resolve())).toMatchObject({ reason: "PEER_UNREACHABLE", retryable: true });
    expect(node.warnings).toEqual([]);
  });

  it("a host where nobody may be sent is not connected to for its proof", async () => {
    const { node, dns, asked } = await makeWorld();
    dns.zone.set("host.test", { a: ["10.0.0.1"] });
    expect(await peerError(node.resolve())).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(asked.proofs).toBe(0);
  });

  it.each(["servfail", "silence"] as const)(
    "a TXT record that meets %s is tried again, and is not taken for absence",
    async (trouble) => {
      const { node, dns, memory, publishTxt, owner, pass } = await makeWorld({ txtTimeoutMs: 700 });
      dns.zone.set("_keypears.acme.test", trouble);
      const error = await peerError(node.resolve());
      expect(error).toMatchObject({ reason: "DISCOVERY_FAILED", retryable: true });
      expect(await memory()).toBeUndefined();
      publishTxt(owner);
      pass(30_000);
      expect((await node.resolve()).proof).toBe("proven");
    },
  );

  it("does not end the use of what was good a moment ago", async () => {
    const { node, dns, pass } = await makeWorld({ txtTimeoutMs: 700 });
    await node.resolve();
    const before = node.warnings.length;
    dns.zone.set("_keypears.acme.test", "servfail");
    pass(10 * MINUTE);
    expect((await node.resolve()).proof).toBe("proven");
    await expect.poll(() => node.warnings.length, { timeout: 20_000 }).toBeGreaterThan(before);
    expect((await node.resolve()).proof).toBe("proven");
  });

  it("a question that is given up changes nothing and is not remembered as an answer", async () => {
    const { node, memory } = await makeWorld();
    const error = await peerError(node.checks.look(DOMAIN, AbortSignal.abort()));
    expect(error).toMatchObject({ reason: "PEER_CALL_CANCELLED" });
    expect(await memory()).toBeUndefined();
  });
});
