import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { randomBytes } from "../../src/crypto/index.ts";
import { buildKeySet, type ParsedKeySet, parseKeySetBody } from "../../src/protocol/key-set.ts";
import { createPerson, newSeeds, type Person, sealedKeys, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

let node: TestNode;
let alice: Person;
/** Alice's sets: 1, then 2 which continues it, then 3 which continues and revokes. */
const sets: ParsedKeySet[] = [];

beforeAll(async () => {
  node = await startNode({ firstContactDifficulty: 4_096 });
  alice = await createPerson(node, "alice@acme.test");
  sets.push(alice.keySet);
  let seeds = alice.seeds;
  for (const number of [2, 3]) {
    node.advance(1_000);
    const next = newSeeds();
    const keySet = buildKeySet({
      address: alice.address,
      createdAt: node.now(),
      seeds: next,
      previous: { keySet: sets.at(-1)!, seeds },
      revokesPrevious: number === 3,
    });
    await alice.keySets.publishKeySet({
      keySet,
      expectedActiveNumber: number - 1,
      sealedKeys: sealedKeys(number),
    });
    sets.push(parseKeySetBody(keySet.body));
    seeds = next;
  }
});
afterAll(() => node.close());

describe("looking a key set up", () => {
  it.each<[string, object, string, string, string?]>([
    ["no address", {}, "InvalidArgument", "ADDRESS_INVALID", "address"],
    [
      "two addresses",
      { address: "a@acme.test,b@acme.test" },
      "InvalidArgument",
      "ADDRESS_INVALID",
      "address",
    ],
    ["a foreign domain", { address: "alice@partner.test" }, "FailedPrecondition", "DOMAIN_NOT_HOSTED"],
    ["an unknown address", { address: "nobody@acme.test" }, "NotFound", "ADDRESS_UNKNOWN"],
    ["a number that is not there", { address: "alice@acme.test", number: 4 }, "NotFound", "KEY_SET_UNKNOWN"],
    [
      "a number that never is",
      { address: "alice@acme.test", number: 101 },
      "InvalidArgument",
      "FIELD_INVALID",
      "number",
    ],
    [
      "the largest number",
      { address: "alice@acme.test", number: 0xffff_ffff },
      "InvalidArgument",
      "FIELD_INVALID",
      "number",
    ],
    ["an unknown view", { address: "alice@acme.test", view: 7 }, "InvalidArgument", "FIELD_INVALID", "view"],
  ])("is refused for %s", async (_what, request, code, reason, field) => {
    const refused = await refusal(node.as().keySets.getKeySet(request));
    expect(refused).toMatchObject({ code, reason, ...(field && { field }) });
  });

  it("needs no session, and an ended one does no harm", async () => {
    for (const caller of [{}, { token: "x".repeat(43) }]) {
      const { published } = await node.as(caller).keySets.getKeySet({ address: alice.address });
      expect(published).toMatchObject({
        activeNumber: 3,
        supersededAt: 0n,
        revoked: false,
        firstContactDifficulty: 4_096,
      });
      expect(published?.keySet?.body).toEqual(sets[2]?.body);
    }
  });

  it("says when a set was superseded, and whether it is revoked", async () => {
    const of = async (number: number) =>
      (await node.as().keySets.getKeySet({ address: alice.address, number })).published;
    expect(await of(1)).toMatchObject({
      supersededAt: BigInt(sets[1]!.createdAt),
      revoked: false,
      activeNumber: 3,
    });
    expect(await of(2)).toMatchObject({
      supersededAt: BigInt(sets[2]!.createdAt),
      revoked: true,
      activeNumber: 3,
    });
  });

  it("leaves signatures out of the body view alone", async () => {
    const of = async (view: KeySetView) =>
      (await node.as().keySets.getKeySet({ address: alice.address, view })).published?.keySet;
    expect(await of(KeySetView.BODY)).toMatchObject({
      body: sets[2]?.body,
      selfSignature: new Uint8Array(),
      continuitySignature: new Uint8Array(),
    });
    for (const view of [KeySetView.UNSPECIFIED, KeySetView.FULL]) {
      const full = await of(view);
      expect(full?.selfSignature).toHaveLength(3_373);
      expect(full?.continuitySignature).toHaveLength(3_373);
    }
  });

  it("tells the active number to whoever asks for one that is not there", async () => {
    const refused = await refusal(node.as().keySets.getKeySet({ address: alice.address, number: 9 }));
    expect(refused.metadata).toEqual({ active_number: "3" });
  });
});

describe("a batch of look-ups", () => {
  it("is refused when it is too large, or asks for an unknown view", async () => {
    const lookups = Array.from({ length: 101 }, () => ({ address: alice.address }));
    const { keySets } = node.as();
    expect(await refusal(keySets.batchGetKeySets({ lookups }))).toMatchObject({
      reason: "FIELD_INVALID",
      field: "lookups",
    });
    expect(await refusal(keySets.batchGetKeySets({ view: 9 as KeySetView }))).toMatchObject({
      reason: "FIELD_INVALID",
      field: "view",
    });
  });

  it("answers each look-up on its own, in their order", async () => {
    const { results } = await node.as().keySets.batchGetKeySets({
      view: KeySetView.BODY,
      lookups: [
        { address: "nobody@acme.test" },
        { address: alice.address, number: 1 },
        { address: "@" },
        { address: alice.address, number: 50 },
        { address: "a@partner.test" },
        { address: alice.address, number: 200 },
        { address: "ALICE@acme.test" },
      ],
    });
    const summary = results.map(({ result }) =>
      result.case === "error" ? result.value.reason : result.value?.keySet?.body,
    );
    expect(summary).toEqual([
      "ADDRESS_UNKNOWN",
      sets[0]?.body,
      "ADDRESS_INVALID",
      "KEY_SET_UNKNOWN",
      "DOMAIN_NOT_HOSTED",
      "FIELD_INVALID",
      sets[2]?.body,
    ]);
  });

  it("fails as a whole when the database does, instead of blaming the addresses", async () => {
    const broken = await startNode();
    await broken.storage.close();
    const batch = broken.as().keySets.batchGetKeySets({ lookups: [{ address: alice.address }] });
    expect(await refusal(batch)).toMatchObject({
      code: "Unavailable",
      reason: "DATABASE_UNAVAILABLE",
      retryAfterMs: 1_000,
    });
    await broken.close();
  });
});

describe("the list of key sets", () => {
  it.each<[string, object, string, string]>([
    ["a negative page size", { pageSize: -1 }, "FIELD_INVALID", "page_size"],
    ["a number that never is", { afterNumber: 101 }, "FIELD_INVALID", "after_number"],
    ["a page token that is none", { pageToken: "AAAA" }, "PAGE_TOKEN_INVALID", "page_token"],
    ["an unknown view", { view: -1 }, "FIELD_INVALID", "view"],
  ])("is refused for %s", async (_what, request, reason, field) => {
    const refused = await refusal(node.as().keySets.listKeySets({ address: alice.address, ...request }));
    expect(refused).toMatchObject({ code: "InvalidArgument", reason, field });
  });

  it("is in ascending order, and each set knows its successor also across pages", async () => {
    const listed: { body: Uint8Array | undefined; supersededAt: bigint; revoked: boolean }[] = [];
    let pageToken = "";
    do {
      const page = await node.as().keySets.listKeySets({ address: alice.address, pageSize: 1, pageToken });
      expect(page.keySets).toHaveLength(1);
      listed.push(
        ...page.keySets.map(({ keySet, supersededAt, revoked }) => ({
          body: keySet?.body,
          supersededAt,
          revoked,
        })),
      );
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).toEqual([
      { body: sets[0]?.body, supersededAt: BigInt(sets[1]!.createdAt), revoked: false },
      { body: sets[1]?.body, supersededAt: BigInt(sets[2]!.createdAt), revoked: true },
      { body: sets[2]?.body, supersededAt: 0n, revoked: false },
    ]);
  });

  it("begins behind a number, and is empty behind the last", async () => {
    const listAfter = (afterNumber: number) =>
      node.as().keySets.listKeySets({ address: alice.address, afterNumber });
    expect((await listAfter(2)).keySets.map(({ keySet }) => keySet?.body)).toEqual([sets[2]?.body]);
    expect(await listAfter(3)).toMatchObject({ keySets: [], nextPageToken: "" });
  });

  it("does not take the page token of another address", async () => {
    await createPerson(node, "bob@acme.test");
    const { nextPageToken } = await node.as().keySets.listKeySets({ address: alice.address, pageSize: 1 });
    const mixed = node.as().keySets.listKeySets({ address: "bob@acme.test", pageToken: nextPageToken });
    expect(await refusal(mixed)).toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
  });

  it("of an unknown address is refused", async () => {
    expect(await refusal(node.as().keySets.listKeySets({ address: "nobody@acme.test" }))).toMatchObject({
      code: "NotFound",
      reason: "ADDRESS_UNKNOWN",
    });
  });
});

describe("the budget of look-ups", () => {
  it("is drawn by source prefix without a session, and not with one", async () => {
    const strict = await startNode({ limits: { lookupsPerSecond: 1, lookupBurst: 5 } });
    try {
      const person = await createPerson(strict, "alice@acme.test");
      const { address } = person;
      const elsewhere = strict.as({ sourcePrefix: "198.51.100.0/24" }).keySets;
      await elsewhere.batchGetKeySets({ lookups: [{ address }, { address }, { address }] });
      expect(
        await refusal(elsewhere.batchGetKeySets({ lookups: [{ address }, { address }, { address }] })),
      ).toMatchObject({
        code: "ResourceExhausted",
        reason: "RATE_LIMITED",
      });
      await elsewhere.getKeySet({ address });
      await elsewhere.listKeySets({ address });
      const refused = await refusal(elsewhere.getKeySet({ address }));
      expect(refused.reason).toBe("RATE_LIMITED");
      expect(refused.retryAfterMs).toBeGreaterThan(0);
      const withSession = strict.as({ token: person.token, sourcePrefix: "198.51.100.0/24" }).keySets;
      await expect(withSession.getKeySet({ address })).resolves.toBeDefined();
      const withEndedSession = strict.as({
        token: Buffer.from(randomBytes(32)).toString("base64url"),
        sourcePrefix: "198.51.100.0/24",
      });
      expect(await refusal(withEndedSession.keySets.getKeySet({ address }))).toMatchObject({
        reason: "RATE_LIMITED",
      });
    } finally {
      await strict.close();
    }
  });

  it("is charged for every set of a page", async () => {
    const strict = await startNode({ limits: { lookupsPerSecond: 1, lookupBurst: 4 } });
    try {
      const person = await createPerson(strict, "alice@acme.test");
      const next = newSeeds();
      const previous = { keySet: person.keySet, seeds: person.seeds };
      strict.advance(1);
      const keySet = buildKeySet({ address: person.address, createdAt: strict.now(), seeds: next, previous });
      await person.keySets.publishKeySet({ keySet, expectedActiveNumber: 1, sealedKeys: sealedKeys(2) });
      const elsewhere = strict.as({ sourcePrefix: "elsewhere" }).keySets;
      expect((await elsewhere.listKeySets({ address: person.address })).keySets).toHaveLength(2);
      expect((await elsewhere.listKeySets({ address: person.address })).keySets).toHaveLength(2);
      expect(await refusal(elsewhere.getKeySet({ address: person.address }))).toMatchObject({
        reason: "RATE_LIMITED",
      });
    } finally {
      await strict.close();
    }
  });
});
