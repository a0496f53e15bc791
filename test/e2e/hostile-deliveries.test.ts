// Envelopes from a hostile peer, a process of its own with real keys: every one that is not as it has to be is refused with
// its reason, leaves nothing behind in the database, and the node goes on.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_DELIVERY_ENVELOPES } from "../../src/protocol/limits.ts";
import { environment, type Person, shareIds, signUp } from "../support/clients.ts";
import { contentOf } from "../support/database.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { type PeerProcess, startPeer } from "../support/peer-process.ts";
import { BENDS, type Bend } from "./peers/bends.ts";
import type { EnvelopeOrder, Verdict } from "./peers/peer.ts";

const TIMEOUT_MS = 120_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Domains that lead to the peer. The first one is honest; the keys of the others are lies. */
const DOMAINS = [
  "evil",
  "keys-of-another",
  "keys-unsigned",
  "keys-signed-wrong",
  "keys-truncated",
  "keys-not-canonical",
  "keys-contradicting",
  "keys-missing",
  "hanging-document",
  "garbage-document",
  "garbage-calls",
] as const;

describe("an envelope from a hostile peer", () => {
  let peer: PeerProcess;
  let node: TestNode;
  let bob: Person;
  let carol: Person;

  beforeAll(async () => {
    peer = startPeer();
    const { port } = await peer.ask("listen", {});
    const lies = DOMAINS.map((label) => [`${label}.test`, `http://127.0.0.1:${port}`] as const);
    node = await startTestNode({ domain: "acme.test", resolve: new Map(lies) });
    const env = environment([node]);
    [bob, carol] = await Promise.all([signUp(env, "bob@acme.test"), signUp(env, "carol@acme.test")]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await peer?.stop();
    await node?.remove();
  }, TIMEOUT_MS);

  function order(changes: Partial<EnvelopeOrder> = {}): EnvelopeOrder {
    return { apiUrl: node.apiUrl, sender: "mallory@evil.test", recipient: bob.address, ...changes };
  }

  /** Has one envelope made and carried to the node. */
  async function deliver(changes: Partial<EnvelopeOrder> = {}): Promise<Verdict> {
    const { index } = await peer.ask("make", order(changes));
    const verdicts = await peer.ask("carry", { apiUrl: node.apiUrl, indexes: [index] });
    expect(verdicts).toHaveLength(1);
    return verdicts[0] as Verdict;
  }

  /** That the node takes a good envelope, and that its recipient sees it. */
  async function requireHealthy(): Promise<void> {
    const verdict = await deliver({ recipient: carol.address });
    expect(verdict).toMatchObject({ outcome: "ACCEPTED" });
    expect(await shareIds(carol)).toContain(Buffer.from(verdict.shareId).toString("hex"));
  }

  /** That delivering changes nothing and is answered so. */
  async function expectRefusal(
    changes: Partial<EnvelopeOrder>,
    expected: Partial<Record<keyof Verdict, unknown>>,
  ): Promise<void> {
    const before = await contentOf(node.database);
    expect(await deliver(changes)).toMatchObject(expected);
    expect(await contentOf(node.database)).toEqual(before);
  }

  it("is taken when it is as it has to be", { timeout: TIMEOUT_MS }, async () => {
    await requireHealthy();
  });

  const structural = [...BENDS.header, ...BENDS.encoding, ...BENDS.ciphertext, ...BENDS.envelope].filter(
    (bend): bend is Bend => bend !== "nothing" && !bend.includes("flipped"),
  );
  it.each(structural)("with %s is malformed", { timeout: TIMEOUT_MS }, async (bend) => {
    const reason = bend === "more than an envelope holds" ? "TOO_LARGE" : "MALFORMED";
    await expectRefusal(
      { bend },
      { outcome: "REJECTED", reason, message: expect.stringMatching(/^envelope/) },
    );
    await requireHealthy();
  });

  it.each<Bend>([
    "a flipped bit in the ML-DSA half",
    "a flipped bit in the Ed25519 half",
    "a flipped bit in the ciphertext",
  ])("with %s was not signed by its sender", { timeout: TIMEOUT_MS }, async (bend) => {
    const message = expect.stringMatching(/sign/);
    await expectRefusal({ bend }, { outcome: "REJECTED", reason: "BAD_SIGNATURE", message });
    await requireHealthy();
  });

  it.each<[string, Partial<EnvelopeOrder>, string]>([
    ["that has expired", { createdIn: -MINUTE, expiresIn: -1_000 }, "EXPIRED"],
    ["that was made more than 7 days ago", { createdIn: -7 * DAY - MINUTE }, "EXPIRED"],
    ["that is dated more than 5 minutes ahead", { createdIn: 6 * MINUTE }, "FUTURE_DATED"],
    [
      "for nobody at this domain",
      { recipient: "nobody@acme.test", recipientKeys: "own" },
      "UNKNOWN_RECIPIENT",
    ],
  ])("%s is refused", { timeout: TIMEOUT_MS }, async (_, changes, reason) => {
    await expectRefusal(changes, { outcome: "REJECTED", reason });
    await requireHealthy();
  });

  it.each<[string, string]>([
    ["this node's own domain", "carol@acme.test"],
    ["another domain", "somebody@evil.test"],
    ["an address that does not exist here", "nobody@acme.test"],
  ])(
    "that claims a sender at %s, signed with other keys, is refused",
    { timeout: TIMEOUT_MS },
    async (_, sender) => {
      await expectRefusal({ sender, keys: "forged" }, { outcome: "REJECTED", reason: "BAD_SIGNATURE" });
      await requireHealthy();
    },
  );

  it("that was accepted is a duplicate from then on, also after it was deleted", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { index, shareId } = await peer.ask("make", order());
    const replay = () => peer.ask("carry", { apiUrl: node.apiUrl, indexes: [index] });
    expect(await replay()).toMatchObject([{ outcome: "ACCEPTED" }]);
    const before = await contentOf(node.database);

    expect(await replay()).toMatchObject([{ outcome: "DUPLICATE" }]);
    expect(await contentOf(node.database)).toEqual(before);
    await bob.account.shares.delete(shareId, "received");
    const deleted = await contentOf(node.database);
    expect(await replay()).toMatchObject([{ outcome: "DUPLICATE" }]);

    expect(await contentOf(node.database)).toEqual(deleted);
    expect(await shareIds(bob)).not.toContain(Buffer.from(shareId).toString("hex"));
    await node.stop();
    await node.start();
    expect(await replay()).toMatchObject([{ outcome: "DUPLICATE" }]);
    expect(await shareIds(bob)).not.toContain(Buffer.from(shareId).toString("hex"));
  });

  it("that is there several times in one delivery is stored once", { timeout: TIMEOUT_MS }, async () => {
    const { index, shareId } = await peer.ask("make", order());

    const verdicts = await peer.ask("carry", { apiUrl: node.apiUrl, indexes: [index, index, index] });

    expect(verdicts.map(({ outcome }) => outcome)).toEqual(["ACCEPTED", "DUPLICATE", "DUPLICATE"]);
    const id = Buffer.from(shareId).toString("hex");
    expect((await shareIds(bob)).filter((each) => each === id)).toEqual([id]);
  });

  it("that is bent spoils no other one of its delivery", { timeout: TIMEOUT_MS }, async () => {
    const [good, bent, alsoGood] = await Promise.all([
      peer.ask("make", order()),
      peer.ask("make", order({ bend: "a flipped bit in the ciphertext" })),
      peer.ask("make", order()),
    ]);

    const indexes = [good.index, bent.index, alsoGood.index];
    const verdicts = await peer.ask("carry", { apiUrl: node.apiUrl, indexes });

    expect(verdicts.map(({ outcome }) => outcome)).toEqual(["ACCEPTED", "REJECTED", "ACCEPTED"]);
    const ids = [good, alsoGood].map(({ shareId }) => Buffer.from(shareId).toString("hex"));
    expect(await shareIds(bob)).toEqual(expect.arrayContaining(ids));
  });

  it("signed by keys that their own successor revoked is refused", { timeout: TIMEOUT_MS }, async () => {
    const sender = "retired@evil.test";
    await peer.ask("rotate", { address: sender, revokesPrevious: true });

    await expectRefusal(
      { sender, keys: 1 },
      {
        outcome: "REJECTED",
        reason: "KEY_RETIRED",
        message: "signed by a key set that is not in use: seal it again",
      },
    );
    expect(await deliver({ sender, keys: 2 })).toMatchObject({ outcome: "ACCEPTED" });
  });

  it("sealed to keys that its recipient revoked is refused", { timeout: TIMEOUT_MS }, async () => {
    const dave = await signUp(environment([node]), "dave@acme.test");
    await dave.account.rotateKeys({ revokePrevious: true });

    await expectRefusal(
      { recipient: dave.address, recipientKeys: 1 },
      {
        outcome: "REJECTED",
        reason: "KEY_RETIRED",
        message: "sealed to a key set that is not in use: seal it again",
      },
    );
    expect(await deliver({ recipient: dave.address })).toMatchObject({ outcome: "ACCEPTED" });
  });

  it.each(DOMAINS.slice(1).map((label) => [label]))(
    "whose sender's domain answers with %s is not decided, and not taken",
    { timeout: TIMEOUT_MS },
    async (label) => {
      const sender = `mallory@${label}.test`;
      await expectRefusal(
        { sender },
        {
          outcome: "RETRY_LATER",
          reason: "UNSPECIFIED",
          message: expect.stringMatching(/^sender's key set: /),
        },
      );
      await requireHealthy();
    },
  );

  it("for a domain that is not hosted here is sent back to whoever brought it", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const before = await contentOf(node.database);
    const { index } = await peer.ask("make", order());
    const { index: astray } = await peer.ask(
      "make",
      order({ recipient: "bob@other.test", recipientKeys: "own" }),
    );

    const verdicts = await peer.ask("carry", { apiUrl: node.apiUrl, indexes: [index, astray] });

    expect(verdicts).toMatchObject([{ outcome: "ERROR", reason: "DOMAIN_NOT_HOSTED" }]);
    expect(await contentOf(node.database)).toEqual(before);
    await requireHealthy();
  });

  it("is refused with all others when there are too many of them", { timeout: TIMEOUT_MS }, async () => {
    const before = await contentOf(node.database);
    const { index } = await peer.ask("make", order());
    const indexes = Array.from({ length: MAX_DELIVERY_ENVELOPES + 1 }, () => index);

    const verdicts = await peer.ask("carry", { apiUrl: node.apiUrl, indexes });

    expect(verdicts).toMatchObject([{ outcome: "ERROR", reason: "FIELD_INVALID", field: "envelopes" }]);
    expect(await contentOf(node.database)).toEqual(before);
    await requireHealthy();
  });
});
