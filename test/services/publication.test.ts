import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KeySetBodySchema } from "../../gen/keypears/v1/key_set_pb.ts";
import { composite, randomBytes, SIGNATURE_CONTEXT } from "../../src/crypto/index.ts";
import {
  buildKeySet,
  type NewKeySet,
  type PrivateSeeds,
  parseKeySetBody,
  publicKeysOf,
  signingKey,
} from "../../src/protocol/key-set.ts";
import { createPerson, newSeeds, type Person, sealedKeys, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

const DAY = 24 * 60 * 60 * 1_000;

let node: TestNode;
let alice: Person;
beforeEach(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
  node.advance(1_000);
});
afterEach(() => node.close());

/** A complete request to publish set 2, which continues set 1. */
function rotation(person: Person = alice, change: Partial<NewKeySet> = {}) {
  return {
    requestId: randomUUID() as string,
    keySet: buildKeySet({
      address: person.address,
      createdAt: node.now(),
      seeds: newSeeds(),
      previous: { keySet: person.keySet, seeds: person.seeds },
      ...change,
    }),
    expectedActiveNumber: 1,
    sealedKeys: sealedKeys(2),
    loginKey: new Uint8Array(),
  };
}
type Rotation = ReturnType<typeof rotation>;

/** The same without the previous set's signature, and with the login key instead. */
function reset(person: Person = alice) {
  return { ...rotation(person, { previous: { keySet: person.keySet } }), loginKey: person.loginKey };
}

/** A person's keys after another set was published. */
function withKeys(person: Person, request: { keySet: { body: Uint8Array } }, seeds: PrivateSeeds): Person {
  return { ...person, keySet: parseKeySetBody(request.keySet.body), seeds };
}

describe("publishing a key set", () => {
  const WRONG: readonly {
    what: string;
    wrong: (request: Rotation) => object;
    code?: string;
    reason: string;
    field?: string;
  }[] = [
    { what: "no key set", wrong: () => ({ keySet: undefined }), reason: "FIELD_INVALID", field: "key_set" },
    {
      what: "no sealed keys",
      wrong: () => ({ sealedKeys: undefined }),
      reason: "FIELD_INVALID",
      field: "sealed_keys",
    },
    {
      what: "sealed keys of another number",
      wrong: () => ({ sealedKeys: sealedKeys(1) }),
      reason: "FIELD_INVALID",
      field: "sealed_keys.number",
    },
    {
      what: "a cut sealed seed",
      wrong: ({ sealedKeys: keys }) => ({ sealedKeys: { ...keys, sealedMlKem768Seed: randomBytes(60) } }),
      reason: "FIELD_INVALID",
      field: "sealed_keys.sealed_ml_kem_768_seed",
    },
    {
      what: "a request id that is none",
      wrong: () => ({ requestId: "x" }),
      reason: "FIELD_INVALID",
      field: "request_id",
    },
    {
      what: "an active number that it never was",
      wrong: () => ({ expectedActiveNumber: 0 }),
      code: "Aborted",
      reason: "ACTIVE_KEY_SET_CHANGED",
    },
    {
      what: "an active number that it is not yet",
      wrong: () => ({ expectedActiveNumber: 2 }),
      code: "Aborted",
      reason: "ACTIVE_KEY_SET_CHANGED",
    },
    {
      what: "a login key beside a continuity signature",
      wrong: () => ({ loginKey: alice.loginKey }),
      reason: "FIELD_INVALID",
      field: "login_key",
    },
    {
      what: "another person's key set",
      wrong: () => ({
        keySet: rotation(
          { ...alice, keySet: { ...alice.keySet, address: "bob@acme.test" } },
          { address: "bob@acme.test" },
        ).keySet,
      }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a key set numbered 1 again",
      wrong: () => ({
        keySet: buildKeySet({ address: alice.address, createdAt: node.now(), seeds: newSeeds() }),
      }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a number left out",
      wrong: () => ({
        keySet: rotation(alice, { previous: { keySet: { ...alice.keySet, number: 2 }, seeds: alice.seeds } })
          .keySet,
      }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "another previous hash",
      wrong: () => ({
        keySet: rotation(alice, {
          previous: { keySet: { ...alice.keySet, hash: randomBytes(32) }, seeds: alice.seeds },
        }).keySet,
      }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a date that is not after the previous one's",
      wrong: () => ({
        keySet: rotation(alice, {
          createdAt: alice.keySet.createdAt,
          previous: { keySet: { ...alice.keySet, createdAt: 1 }, seeds: alice.seeds },
        }).keySet,
      }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a date more than 5 minutes ahead",
      wrong: () => ({ keySet: rotation(alice, { createdAt: node.now() + 300_001 }).keySet }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a self signature of other keys",
      wrong: ({ keySet }) => ({ keySet: { ...keySet, selfSignature: rotation().keySet.selfSignature } }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "no self signature",
      wrong: ({ keySet }) => ({ keySet: { ...keySet, selfSignature: new Uint8Array() } }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a continuity signature of keys that never were",
      wrong: () => ({
        keySet: rotation(alice, { previous: { keySet: alice.keySet, seeds: newSeeds() } }).keySet,
      }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "the self signature in the place of the continuity signature",
      wrong: ({ keySet }) => ({ keySet: { ...keySet, continuitySignature: keySet.selfSignature } }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "an X25519 key of low order",
      wrong: () => ({ keySet: withPublicKey({ x25519PublicKey: new Uint8Array(32) }) }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "an ML-KEM key that fails the modulus check",
      wrong: () => ({ keySet: withPublicKey({ mlKem768PublicKey: new Uint8Array(1_184).fill(0xff) }) }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
    {
      what: "a public key of another length",
      wrong: () => ({ keySet: withPublicKey({ mlDsa65PublicKey: randomBytes(1_951) }) }),
      reason: "KEY_SET_INVALID",
      field: "key_set",
    },
  ];

  it.each(WRONG)(
    "is refused for $what, and changes nothing",
    async ({ wrong, reason, field, code = "InvalidArgument" }) => {
      const request = rotation();
      const before = node.contents();
      const refused = await refusal(alice.keySets.publishKeySet({ ...request, ...wrong(request) }));
      expect(refused).toMatchObject({ code, reason, ...(field && { field }) });
      expect(node.contents()).toBe(before);
    },
  );

  it("makes the next set the active one and tells every session", async () => {
    const request = rotation();
    expect(await alice.keySets.publishKeySet(request)).toMatchObject({ activeNumber: 2 });
    const { published } = await node.as().keySets.getKeySet({ address: alice.address });
    expect(published).toMatchObject({ activeNumber: 2, keySet: { ...request.keySet } });
    expect((await alice.accounts.getSealedKeys({})).sealedKeySets.map(({ number }) => number)).toEqual([
      1, 2,
    ]);
    const { notices } = await alice.accounts.listSessions({});
    expect(notices).toMatchObject([{ kind: 1, keySetNumber: 2, deviceName: "laptop" }]);
  });

  it("names the active number to whoever saw another one", async () => {
    await alice.keySets.publishKeySet(rotation());
    const refused = await refusal(alice.keySets.publishKeySet(rotation()));
    expect(refused).toMatchObject({ reason: "ACTIVE_KEY_SET_CHANGED", metadata: { active_number: "2" } });
  });

  it("lets one of two devices at once through, and tells the other the active number", async () => {
    const outcomes = await Promise.allSettled([
      alice.keySets.publishKeySet(rotation()),
      alice.keySets.publishKeySet(rotation()),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const loser = outcomes.find((outcome) => outcome.status === "rejected");
    expect(await refusal(Promise.reject(loser?.reason))).toMatchObject({
      code: "Aborted",
      reason: "ACTIVE_KEY_SET_CHANGED",
      metadata: { active_number: "2" },
    });
  });

  it("answers a repeated request as the first time, also hours later", async () => {
    const request = rotation();
    const first = await alice.keySets.publishKeySet(request);
    node.advance(6 * 60 * 60 * 1_000);
    expect(await alice.keySets.publishKeySet(request)).toEqual(first);
    const other = { ...rotation(), requestId: request.requestId };
    expect(await refusal(alice.keySets.publishKeySet(other))).toMatchObject({ reason: "REQUEST_ID_REUSED" });
  });

  it("stops at 5 sets in 24 hours, the first one included, and goes on a day later", async () => {
    let person = alice;
    const next = () => {
      node.advance(1_000);
      const seeds = newSeeds();
      const number = person.keySet.number + 1;
      const request = {
        ...rotation(person, { seeds }),
        expectedActiveNumber: number - 1,
        sealedKeys: sealedKeys(number),
      };
      return { request, seeds };
    };
    for (let number = 2; number <= 5; number++) {
      const { request, seeds } = next();
      await person.keySets.publishKeySet(request);
      person = withKeys(person, request, seeds);
    }
    const before = node.contents();
    expect(await refusal(person.keySets.publishKeySet(next().request))).toMatchObject({
      code: "ResourceExhausted",
      reason: "KEY_SET_LIMIT",
    });
    expect(node.contents()).toBe(before);
    node.advance(DAY);
    expect(await person.keySets.publishKeySet(next().request)).toMatchObject({ activeNumber: 6 });
  });

  it("stops at the highest number that a node allows", async () => {
    const small = await startNode({ limits: { maxKeySets: 1 } });
    try {
      const person = await createPerson(small, "alice@acme.test");
      expect(await refusal(person.keySets.publishKeySet(rotation(person)))).toMatchObject({
        reason: "KEY_SET_LIMIT",
      });
    } finally {
      await small.close();
    }
  });
});

describe("a reset", () => {
  it.each([
    [
      "no login key: a stolen session is not enough",
      () => new Uint8Array(),
      "PermissionDenied",
      "LOGIN_KEY_REQUIRED",
    ],
    ["a wrong login key", () => randomBytes(32), "Unauthenticated", "LOGIN_FAILED"],
    ["a cut login key", () => randomBytes(8), "InvalidArgument", "FIELD_INVALID"],
  ])("is refused for %s, and changes nothing", async (_what, loginKey, code, reason) => {
    const request = { ...reset(), loginKey: loginKey() };
    const before = node.contents();
    expect(await refusal(alice.keySets.publishKeySet(request))).toMatchObject({ code, reason });
    expect(node.contents()).toBe(before);
  });

  it("is refused when it does not name the former set", async () => {
    const request = {
      ...reset(),
      keySet: rotation(alice, { previous: { keySet: { ...alice.keySet, hash: randomBytes(32) } } }).keySet,
    };
    expect(await refusal(alice.keySets.publishKeySet(request))).toMatchObject({ reason: "KEY_SET_INVALID" });
  });

  it("keeps counting and is announced to every session as what it is", async () => {
    expect(await alice.keySets.publishKeySet(reset())).toMatchObject({ activeNumber: 2 });
    expect((await alice.accounts.listSessions({})).notices).toMatchObject([{ kind: 2, keySetNumber: 2 }]);
  });

  it("is answered again when it is repeated, without its login key being kept", async () => {
    const request = reset();
    const first = await alice.keySets.publishKeySet(request);
    expect(await alice.keySets.publishKeySet({ ...request, loginKey: new Uint8Array() })).toEqual(first);
  });
});

/** A next set that signs itself over a public key that nobody should use. */
function withPublicKey(change: object) {
  const seeds = newSeeds();
  const keys = publicKeysOf(seeds);
  const body = toBinary(
    KeySetBodySchema,
    create(KeySetBodySchema, {
      version: 1,
      address: alice.address,
      number: 2,
      createdAt: BigInt(node.now()),
      ed25519PublicKey: keys.ed25519,
      x25519PublicKey: keys.x25519,
      mlDsa65PublicKey: keys.mlDsa65,
      mlKem768PublicKey: keys.mlKem768,
      previousHash: alice.keySet.hash,
      ...change,
    }),
  );
  return { body, selfSignature: composite.sign(signingKey(seeds), body, SIGNATURE_CONTEXT.keySet) };
}
