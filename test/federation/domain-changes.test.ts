// Domains that prove less than they did, or have another key than they had, and who finds out.

import { describe, expect, it } from "vitest";
import { toHex } from "../../src/crypto/bytes.ts";
import { domainKeyHash, generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { confirmDomainKey } from "../../src/protocol/domain-memory.ts";
import { buildRotation } from "../../src/protocol/domain-rotation.ts";
import { DAY, DOMAIN, type DomainWorld, HOUR, makeWorld, NOW } from "./domain-world.ts";
import { peerError } from "./network.ts";

const DOWNGRADES: readonly [what: string, arrange: (world: DomainWorld) => void][] = [
  [
    "a document of version 1",
    ({ site, host }) => {
      site.document = { version: 1, apiUrl: host.apiUrl };
    },
  ],
  [
    "a document of version 1 that names another host",
    ({ site, rogue }) => {
      site.document = { version: 1, apiUrl: rogue.apiUrl };
    },
  ],
  [
    "a lower serial",
    ({ host, authorize }) => {
      host.consent = authorize({ serial: 6 });
    },
  ],
  [
    "another body under the same serial",
    ({ host, authorize }) => {
      host.consent = authorize({ notAfter: NOW + 91 * DAY });
    },
  ],
  ["no TXT record where there was one", ({ publishTxt }) => publishTxt(undefined)],
];

describe("a downgrade", () => {
  it.each(DOWNGRADES)(
    "to %s is refused, by every node of the database, until it is mended",
    async (_what, arrange) => {
      const world = await makeWorld();
      const { node, owner, pass } = world;
      await node.resolve();
      const before = await world.memory();
      const [document, consent] = [world.site.document, world.host.consent];

      arrange(world);
      const other = world.anotherNode();
      expect(await peerError(other.resolve())).toMatchObject({ reason: "DOMAIN_DOWNGRADED", domain: DOMAIN });
      // The one that has the good document in its cache drops it as soon as it looks again.
      pass(6 * 60_000);
      await node.resolve();
      await expect
        .poll(async () => node.resolve().catch(({ reason }) => reason), { timeout: 20_000 })
        .toBe("DOMAIN_DOWNGRADED");
      expect(await world.memory()).toEqual(before);

      world.site.document = document;
      world.host.consent = consent;
      world.publishTxt(owner);
      pass(30_000);
      expect((await node.resolve()).proof).toBe("proven");
    },
  );

  it("is logged once, however often it is met", async () => {
    const { node, site, host, pass } = await makeWorld();
    await node.checks.look(DOMAIN);
    site.document = { version: 1, apiUrl: host.apiUrl };
    for (let look = 0; look < 3; look++) {
      await peerError(node.resolve());
      pass(30_000);
    }
    expect(node.warnings).toEqual([
      { domain: DOMAIN, reason: "DOMAIN_DOWNGRADED", problem: expect.stringContaining("version 1") },
    ]);
  });

  it("is none any more 30 days after the last proof", async () => {
    const { node, site, host, pass } = await makeWorld();
    await node.checks.look(DOMAIN);
    site.document = { version: 1, apiUrl: host.apiUrl };
    pass(30 * DAY - 1);
    await peerError(node.resolve());
    pass(30_000);
    expect((await node.resolve()).proof).toBe("unproven");
  });

  it("of a document that flips between its versions is found at every flip", async () => {
    const { node, site, host, owner, documentOf, memory, pass } = await makeWorld();
    await node.checks.look(DOMAIN);
    const before = await memory();
    for (let flip = 0; flip < 4; flip++) {
      site.document = flip % 2 ? documentOf(owner) : { version: 1, apiUrl: host.apiUrl };
      const { report } = await node.checks.look(DOMAIN);
      expect(report.standing).toBe(flip % 2 ? "proven" : "downgraded");
      pass(60_000);
    }
    expect(await memory()).toEqual(before);
  });
});

/** Everything that the domain publishes is of another key from now on. */
function swapKey(world: DomainWorld) {
  const thief = generateCompositeKeyPair();
  world.site.document = world.documentOf(thief);
  world.host.consent = world.authorize({ serial: 1 }, thief);
  world.publishTxt(thief);
  return { thief, hash: toHex(domainKeyHash(thief.publicKey)) };
}

describe("another domain key", () => {
  it("without a word of the old one's is held back, and what was known is kept", async () => {
    const world = await makeWorld();
    await world.node.checks.look(DOMAIN);
    const before = await world.memory();
    const { hash } = swapKey(world);
    const error = await peerError(world.node.resolve());
    expect(error).toMatchObject({ reason: "DOMAIN_CHANGED", retryable: true });
    expect(error.message).toContain(hash);
    expect((await world.memory())?.memory).toEqual({
      ...before?.memory,
      pending: { keyHash: hash, since: NOW, lastSeen: NOW },
    });
    expect(world.node.warnings).toHaveLength(1);
  });

  it("in the document alone, the TXT record being that of the old one, does not even begin to wait", async () => {
    const world = await makeWorld();
    await world.node.checks.look(DOMAIN);
    const before = await world.memory();
    swapKey(world);
    world.publishTxt(world.owner);
    expect(await peerError(world.node.resolve())).toMatchObject({ reason: "DOMAIN_UNPROVEN" });
    expect(await world.memory()).toEqual(before);
  });

  it("counts after 7 days in which the node looks at it by itself", async () => {
    const world = await makeWorld();
    const { node, pass } = world;
    await node.checks.look(DOMAIN);
    const { hash } = swapKey(world);
    await peerError(node.resolve());
    for (let hour = 0; hour < 7 * 24 - 1; hour++) {
      pass(HOUR);
      await node.lookAtWaitingKeys();
    }
    // About twice a day, and not at every round.
    expect(world.asked.proofs).toBeGreaterThan(2 + 7);
    expect(world.asked.proofs).toBeLessThanOrEqual(2 + 2 * 7);
    expect(await peerError(node.resolve())).toMatchObject({ reason: "DOMAIN_CHANGED" });
    pass(HOUR);
    expect((await node.resolve()).proof).toBe("proven");
    expect((await world.memory())?.memory).toMatchObject({ keyHash: hash, serial: 1 });
  });

  it("that nobody saw for more than 2 days begins its 7 days anew", async () => {
    const world = await makeWorld();
    const { node, pass } = world;
    await node.checks.look(DOMAIN);
    swapKey(world);
    await node.checks.look(DOMAIN);
    pass(7 * DAY);
    await peerError(node.resolve());
    expect((await world.memory())?.memory.pending?.since).toBe(NOW + 7 * DAY);
  });

  it("that is gone again leaves nothing behind", async () => {
    const world = await makeWorld();
    const { node, owner } = world;
    await node.checks.look(DOMAIN);
    const before = await world.memory();
    const consent = world.host.consent;
    swapKey(world);
    await node.checks.look(DOMAIN);
    world.site.document = world.documentOf(owner);
    world.host.consent = consent;
    world.publishTxt(owner);
    expect((await node.resolve()).proof).toBe("proven");
    expect((await world.memory())?.memory).toEqual(before?.memory);
  });

  it("counts at once when the operator confirms it, and no other does", async () => {
    const world = await makeWorld();
    const { node, stores, pass } = world;
    await node.checks.look(DOMAIN);
    const { hash } = swapKey(world);
    await peerError(node.resolve());
    const { memory, revision } = (await world.memory())!;
    expect(confirmDomainKey(memory, "00".repeat(32), NOW)).toBeUndefined();
    await stores.peerDomains.replace(DOMAIN, revision, confirmDomainKey(memory, hash, NOW)!);
    pass(30_000);
    expect((await node.resolve()).proof).toBe("proven");
    // The thief's document is now the known one, and the old one would have to wait.
    world.site.document = world.documentOf(world.owner);
    world.host.consent = world.authorize({ serial: 9 });
    world.publishTxt(world.owner);
    expect(await peerError(world.anotherNode().resolve())).toMatchObject({ reason: "DOMAIN_CHANGED" });
  });

  it("that the old one vouches for is taken at once, over several changes", async () => {
    const world = await makeWorld();
    const { node, owner, authorize, memory } = world;
    await node.checks.look(DOMAIN);
    const [second, third] = [generateCompositeKeyPair(), generateCompositeKeyPair()];
    const rotations = [
      buildRotation({ domain: DOMAIN, oldKey: owner, newPublicKey: second.publicKey, serial: 8 }),
      buildRotation({ domain: DOMAIN, oldKey: second, newPublicKey: third.publicKey, serial: 9 }),
    ];
    world.site.document = world.documentOf(third);
    world.host.consent = { ...authorize({ serial: 9 }, third), rotations };
    world.publishTxt(third);
    expect((await node.resolve()).proof).toBe("proven");
    expect((await memory())?.memory).toMatchObject({
      keyHash: toHex(domainKeyHash(third.publicKey)),
      serial: 9,
    });
    expect(node.warnings).toEqual([]);
  });

  it("that a thief vouches for is refused", async () => {
    const world = await makeWorld();
    await world.node.checks.look(DOMAIN);
    const before = await world.memory();
    const { thief } = swapKey(world);
    const stranger = generateCompositeKeyPair();
    const byStranger = buildRotation({
      domain: DOMAIN,
      oldKey: stranger,
      newPublicKey: thief.publicKey,
      serial: 8,
    });
    world.host.consent = {
      ...world.authorize({ serial: 8 }, thief),
      rotations: [{ ...byStranger, oldPublicKey: world.owner.publicKey }],
    };
    expect(await peerError(world.node.resolve())).toMatchObject({ reason: "DOMAIN_UNPROVEN" });
    expect(await world.memory()).toEqual(before);
  });
});
