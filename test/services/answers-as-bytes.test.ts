// Answers in bytes against the same answers made without them, from the database, the plain way.

import { create, fromBinary, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { type ConnectError, createContextValues, createHandlerContext } from "@connectrpc/connect";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  DiscoveryService,
  GetServerInfoResponseSchema,
  ResolveDomainResponseSchema,
} from "../../gen/keypears/v1/discovery_service_pb.ts";
import { KeySetView, type PublishedKeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  BatchGetKeySetsResponseSchema,
  GetKeySetResponseSchema,
  type KeySetResultSchema,
  KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { fromUtf8 } from "../../src/crypto/index.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import { buildKeySet, parseKeySetBody } from "../../src/protocol/key-set.ts";
import { type Caller, callerKey, type ServiceContext } from "../../src/services/context.ts";
import { createDiscoveryService } from "../../src/services/discovery.ts";
import { type EncodedAnswer, encodedMethodOf } from "../../src/services/encoded-answer.ts";
import { reasonOf } from "../../src/services/errors.ts";
import { createKeySetAnswers } from "../../src/services/key-set-answers.ts";
import { createKeySetService } from "../../src/services/key-sets.ts";
import { authenticate } from "../../src/services/session-token.ts";
import { linkHints } from "./linked-hints.ts";
import { createPerson, newSeeds, type Person, sealedKeys, startNode, type TestNode } from "./node.ts";

const hints = linkHints();
let node: TestNode;
let ours: Services;
let alice: Person;

beforeAll(async () => {
  node = await startNode({
    hints: hints.ours,
    firstContactDifficulty: 4_096,
    limits: { lookupsPerSecond: 1_000_000, lookupBurst: 1_000_000 },
    fetchDocument: async () => ({
      document: { version: 1, apiUrl: parseApiUrl("https://host.partner.test/api") },
      maxAgeMs: 60_000,
      tlsGroup: "X25519MLKEM768",
      fetchedUrl: "https://partner.test/.well-known/keypears.json",
    }),
  });
  ours = servicesOf(node.context);
  alice = await createPerson(node, "alice@acme.test");
  await createPerson(node, "bob@xn--bcher-kva.test");
  await publish(alice, alice, 2, true);
});
afterAll(() => node.close());

/** Publishes the next set of a person, and answers with who they are then. */
async function publish(person: Person, previous: Person, number: number, revokesPrevious = false) {
  node.advance(1_000);
  const seeds = newSeeds();
  const keySet = buildKeySet({
    address: person.address,
    createdAt: node.now(),
    seeds,
    previous: { keySet: previous.keySet, seeds: previous.seeds },
    revokesPrevious,
  });
  const sealed = sealedKeys(number);
  await person.keySets.publishKeySet({ keySet, expectedActiveNumber: number - 1, sealedKeys: sealed });
  return { ...person, seeds, keySet: parseKeySetBody(keySet.body) };
}

type Services = ReturnType<typeof createKeySetService> & ReturnType<typeof createDiscoveryService>;

function servicesOf(context: ServiceContext): Services {
  return { ...createKeySetService(context), ...createDiscoveryService(context) };
}

/** Calls a method for its bytes, as the server does. */
async function call(
  name: keyof Services,
  request: object,
  services = ours,
  session?: Caller["session"],
): Promise<EncodedAnswer> {
  const encoded = encodedMethodOf(services[name]);
  if (encoded === undefined) throw new Error(`${name} does not answer in bytes`);
  const caller = { sourcePrefix: "192.0.2.0/24", connectionId: "c1", session };
  const service = name in KeySetService.method ? KeySetService : DiscoveryService;
  const handlerContext = createHandlerContext({
    service,
    method: service.methods.find((method) => method.localName === name)!,
    protocolName: "connect",
    requestMethod: "POST",
    url: "http://localhost/",
    contextValues: createContextValues().set(callerKey, caller),
  });
  return encoded(request, handlerContext);
}

/** A set as the database has it, in the words of the schema. */
async function plain(
  address: string,
  number: number,
  view: KeySetView,
): Promise<MessageInitShape<typeof PublishedKeySetSchema>> {
  const found = await node.storage.keySets.get(address, number);
  if (found.kind !== "found") throw new Error(`${address} has no set ${number}`);
  const { body, selfSignature, continuitySignature } = found.keySet;
  return {
    keySet: view === KeySetView.BODY ? { body } : { body, selfSignature, continuitySignature },
    activeNumber: found.activeNumber,
    firstContactDifficulty: 4_096,
    supersededAt: BigInt(found.supersededAt),
    revoked: found.revoked,
  };
}

const view = fc.constantFrom(KeySetView.UNSPECIFIED, KeySetView.BODY, KeySetView.FULL);
/** Look-ups that find something: as it may be asked for, and the canonical address. */
const FOUND = [
  ["alice@acme.test", "alice@acme.test", 0],
  ["alice@acme.test", "alice@acme.test", 1],
  ["alice@acme.test", "alice@acme.test", 2],
  ['"ALICE"@Acme.Test', "alice@acme.test", 0],
  ["bob@bücher.test", "bob@xn--bcher-kva.test", 0],
] as const;
/** Look-ups that find nothing: reason, and message behind the field's name in a batch. */
const NOT_FOUND: readonly [string, number, string, (prefix: string) => string][] = [
  ["nobody@acme.test", 0, "ADDRESS_UNKNOWN", () => "nobody@acme.test has no account here"],
  ["alice@acme.test", 3, "KEY_SET_UNKNOWN", () => "alice@acme.test has no key set 3, its active one is 2"],
  ["alice@acme.test", 101, "FIELD_INVALID", (prefix) => `${prefix}number: must be at most 100`],
  ["@", 0, "ADDRESS_INVALID", () => "local part is empty"],
  [
    "alice@partner.test",
    0,
    "DOMAIN_NOT_HOSTED",
    (prefix) => `${prefix}address: partner.test is not hosted here, ask the host that it names`,
  ],
];

describe("a look-up in bytes", () => {
  it("is byte for byte what it would be otherwise, kept or not", () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...FOUND), view, fc.boolean(), async (lookup, view, forget) => {
        const [address, canonical, number] = lookup;
        if (forget) await node.context.keySetAnswers.changed(canonical);
        const answer = await call("getKeySet", { address, number, view });
        const published = await plain(canonical, number, view);
        const message = create(GetKeySetResponseSchema, { published });
        expect(answer.bytes("proto")).toEqual(toBinary(GetKeySetResponseSchema, message));
        expect(fromUtf8(answer.bytes("json"))).toBe(toJsonString(GetKeySetResponseSchema, message));
        expect(answer.cacheControl).toBe("no-cache");
      }),
      { numRuns: 60 },
    ));

  it("is refused as it would be otherwise, however often", async () => {
    for (const [address, number, reason, message] of [...NOT_FOUND, ...NOT_FOUND]) {
      const refused = (await call("getKeySet", { address, number, view: 0 }).catch(
        (error: unknown) => error,
      )) as ConnectError;
      expect([reasonOf(refused), refused.rawMessage]).toEqual([reason, message("")]);
    }
  });

  it("is compressed in JSON, where that helps", async () => {
    const answer = await call("getKeySet", { address: alice.address, number: 0, view: KeySetView.FULL });
    expect(await answer.gzip("proto")).toBeUndefined();
    const json = answer.bytes("json").length;
    expect((await answer.gzip("json"))?.length).toBeLessThan(json * 0.8);
  });
});

describe("a batch in bytes", () => {
  it("is byte for byte what it would be otherwise, for any mixture", () => {
    const any = fc.oneof(fc.constantFrom(...FOUND), fc.constantFrom(...NOT_FOUND));
    return fc.assert(
      fc.asyncProperty(fc.array(any, { maxLength: 30 }), view, async (asked, view) => {
        const lookups = asked.map(([address, second, third]) => {
          return { address, number: typeof third === "number" ? third : (second as number) };
        });
        const answer = await call("batchGetKeySets", { lookups, view });
        const results = await Promise.all(
          asked.map(async (lookup, index): Promise<MessageInitShape<typeof KeySetResultSchema>> => {
            if (lookup.length === 3) {
              const value = await plain(lookup[1], lookup[2], view);
              return { result: { case: "published", value } };
            }
            const [, , reason, message] = lookup;
            return { result: { case: "error", value: { reason, message: message(`lookups[${index}].`) } } };
          }),
        );
        const expected = create(BatchGetKeySetsResponseSchema, { results });
        expect(answer.bytes("proto")).toEqual(toBinary(BatchGetKeySetsResponseSchema, expected));
        expect(fromUtf8(answer.bytes("json"))).toBe(toJsonString(BatchGetKeySetsResponseSchema, expected));
      }),
      { numRuns: 60 },
    );
  });
});

describe("what happens to an account", () => {
  /** What another process answers, which has hints of its own and shares the database. */
  function elsewhere(): Services {
    const keySetAnswers = createKeySetAnswers({
      keySets: node.storage.keySets,
      clock: node.now,
      hints: hints.theirs,
      firstContactDifficulty: 4_096,
    });
    return servicesOf({ ...node.context, hints: hints.theirs, keySetAnswers });
  }

  it("shows in every process at once: a new set, in all answers about the old ones too", async () => {
    const processes = [ours, elsewhere()];
    let carol = await createPerson(node, "carol@acme.test");
    for (const number of [2, 3]) {
      for (const services of processes) {
        for (const asked of [0, 1]) {
          await call("getKeySet", { address: carol.address, number: asked, view: KeySetView.FULL }, services);
        }
      }
      carol = await publish(carol, carol, number);
      for (const services of processes) {
        for (const asked of [0, 1, number - 1, number]) {
          const request = { address: carol.address, number: asked, view: KeySetView.FULL };
          const published = await plain(carol.address, asked, KeySetView.FULL);
          expect(published.activeNumber).toBe(number);
          const expected = create(GetKeySetResponseSchema, { published });
          expect((await call("getKeySet", request, services)).bytes("proto")).toEqual(
            toBinary(GetKeySetResponseSchema, expected),
          );
        }
      }
    }
  });

  it("shows in every process at once: its end", async () => {
    const processes = [ours, elsewhere()];
    const dave = await createPerson(node, "dave@acme.test");
    const request = { address: dave.address, number: 0, view: KeySetView.BODY };
    for (const services of processes) await call("getKeySet", request, services);
    await dave.accounts.deleteAccount({ loginKey: dave.loginKey });
    for (const services of processes) {
      await expect(call("getKeySet", request, services)).rejects.toThrow("has no account here");
    }
  });

  it("is told to the others: its beginning, and a publication that is asked for again", async () => {
    hints.sent.length = 0;
    const erin = await createPerson(node, "erin@acme.test");
    const told = { kind: "key-sets", address: erin.address } as const;
    expect(hints.sent.filter(({ kind }) => kind === "key-sets")).toEqual([told]);
    const seeds = newSeeds();
    const previous = { keySet: erin.keySet, seeds: erin.seeds };
    node.advance(1_000);
    const request = {
      requestId: crypto.randomUUID(),
      keySet: buildKeySet({ address: erin.address, createdAt: node.now(), seeds, previous }),
      expectedActiveNumber: 1,
      sealedKeys: sealedKeys(2),
    };
    await erin.keySets.publishKeySet(request);
    await erin.keySets.publishKeySet(request);
    expect(hints.sent.filter(({ kind }) => kind === "key-sets")).toEqual([told, told, told]);
  });
});

describe("the description of a node in bytes", () => {
  it("is byte for byte what it would be otherwise, with the time of each call", async () => {
    for (let index = 0; index < 3; index += 1) {
      node.advance(1);
      const { context } = node;
      const message = create(GetServerInfoResponseSchema, {
        software: context.software,
        protocolVersions: [1],
        development: true,
        limits: { ...context.limits, maxAccountBytes: BigInt(context.limits.maxAccountBytes) },
        registrationMode: 1,
        serverTime: BigInt(node.now()),
      });
      const answer = await call("getServerInfo", {});
      expect(answer.bytes("proto")).toEqual(toBinary(GetServerInfoResponseSchema, message));
      expect(fromUtf8(answer.bytes("json"))).toBe(toJsonString(GetServerInfoResponseSchema, message));
      expect(answer.cacheControl).toBe("no-store");
    }
  });
});

describe("a resolved domain in bytes", () => {
  it("is byte for byte what it would be otherwise, encoded once until it is resolved anew", async () => {
    const session = await authenticate(node.context, `Bearer ${alice.token}`);
    const resolve = () => call("resolveDomain", { domain: "PARTNER.test" }, ours, session);
    const answer = await resolve();
    expect(await resolve()).toBe(answer);
    const message = create(ResolveDomainResponseSchema, {
      domain: "partner.test",
      apiUrl: "https://host.partner.test/api",
      documentVersion: 1,
      fetchedAt: BigInt(node.now()),
      freshUntil: BigInt(node.now() + 60_000),
      tlsGroup: "X25519MLKEM768",
    });
    expect(answer.bytes("proto")).toEqual(toBinary(ResolveDomainResponseSchema, message));
    expect(fromUtf8(answer.bytes("json"))).toBe(toJsonString(ResolveDomainResponseSchema, message));
    expect(answer.cacheControl).toBe("no-store");

    // A stale document is answered with while a new one is fetched behind it.
    node.advance(60_000);
    expect(await resolve()).toBe(answer);
    await vi.waitFor(async () => expect(await resolve()).not.toBe(answer), { timeout: 20_000 });
    const renewed = fromBinary(ResolveDomainResponseSchema, (await resolve()).bytes("proto"));
    expect(renewed.fetchedAt).toBe(BigInt(node.now()));
  });

  it("needs a session all the same", async () => {
    await expect(call("resolveDomain", { domain: "partner.test" })).rejects.toThrow("needs a session");
  });
});
