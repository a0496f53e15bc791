// Every method of the contract, found by its descriptor: who may call it without a session, and that neither an ended
// session, nor ids of somebody else, nor garbage get anything out of it. A method that is added later is asked too.

import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescOneof,
  ScalarType,
  toJsonString,
} from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { DomainService } from "../../gen/keypears/v1/domain_service_pb.ts";
import { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { HashService } from "../../gen/keypears/v1/hash_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareBox, ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { randomBytes } from "../../src/crypto/index.ts";
import { SERVICES } from "../../src/services/index.ts";
import {
  createPerson,
  deliver,
  logIn,
  type Person,
  seal,
  startNode,
  stranger,
  type TestNode,
} from "./node.ts";
import { type Refusal, refusal, refusalOf } from "./refusal.ts";

vi.setConfig({ testTimeout: 120_000 });

/** What may be called without a session. Everything else may not. */
const OPEN: ReadonlySet<DescMethod> = new Set<DescMethod>([
  DiscoveryService.method.getServerInfo,
  DiscoveryService.method.proveDomain,
  DiscoveryService.method.getNodeKeys,
  KeySetService.method.getKeySet,
  KeySetService.method.batchGetKeySets,
  KeySetService.method.listKeySets,
  AccountService.method.getCreationChallenge,
  AccountService.method.createAccount,
  AccountService.method.getLoginParameters,
  AccountService.method.logIn,
  FederationService.method.deliverShares,
  FederationService.method.deliverShareStream,
  HashService.method.blake3,
  ...[Health, ServerReflection, ServerReflectionAlpha].flatMap(({ methods }) => methods),
]);

const METHODS: readonly { name: string; index: number; method: DescMethod }[] = SERVICES.flatMap(
  ({ methods }) => methods,
).map((method, index) => {
  const service = method.parent.typeName.replace(/^keypears\.v1\./, "");
  return { name: `${service}.${method.name}`, index, method };
});
const CLOSED = METHODS.filter(({ method }) => !OPEN.has(method));

let node: TestNode;
let alice: Person;
let bob: Person;
let shareId: Uint8Array;
let sessionsPageToken: string;

beforeAll(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
  bob = await createPerson(node, "bob@acme.test");
  await logIn(node, alice, "alice's secret phone");
  ({ nextPageToken: sessionsPageToken } = await alice.accounts.listSessions({ pageSize: 1 }));
  await alice.accounts.putSealedContacts({ sealedContacts: randomBytes(100) });
  const sent = seal(node, alice, stranger("x@partner.test", node));
  await alice.shares.sendShare({ envelope: sent.envelope });
  shareId = await deliver(node, bob, alice);
});
afterAll(() => node.close());

/** Calls a method; to a stream of requests there is one, and of a stream of answers the first one counts. */
async function call(method: DescMethod, request: object, token?: string): Promise<string> {
  const transport = node.transport(token === undefined ? {} : { token });
  const client: Record<string, (request: object) => unknown> = createClient(method.parent, transport);
  const { methodKind } = method;
  const sendsStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  const answer = client[method.localName]!(sendsStream ? once(request) : request);
  if (methodKind === "unary" || methodKind === "client_streaming")
    return toJsonString(method.output, await (answer as Promise<never>));
  for await (const message of answer as AsyncIterable<never>) return toJsonString(method.output, message);
  return "";
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

/** The refusal of a call, or undefined if it was answered. */
async function outcome(answer: Promise<string>): Promise<Refusal | undefined> {
  try {
    await answer;
    return undefined;
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return refusalOf(error);
  }
}

/** All that two people have here, as they see it themselves. */
async function belongings(): Promise<string> {
  const of = async ({ accounts, shares, keySets, address }: Person) => {
    const boxes = [ShareBox.RECEIVED, ShareBox.SENT].map((box) => shares.listShares({ box }));
    return Promise.all([
      accounts.listSessions({}),
      accounts.getSealedKeys({}),
      accounts.getSealedContacts({}),
      keySets.listKeySets({ address }),
      ...boxes,
    ]);
  };
  return JSON.stringify([await of(alice), await of(bob)], (_key, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
}

describe.each(CLOSED)("$name", ({ method }) => {
  it("is refused without a session, before anything of the request is looked at", async () => {
    const before = node.contents();
    for (const request of [{}, withOthersIds(method.input)]) {
      expect(await refusal(call(method, request))).toMatchObject({
        code: "Unauthenticated",
        reason: "SESSION_REQUIRED",
      });
    }
    expect(node.contents()).toBe(before);
  });

  it("is refused with a session that has ended", async () => {
    const phone = await logIn(node, bob, "phone");
    await phone.accounts.logOut({});
    const before = node.contents();
    for (const request of [{}, withOthersIds(method.input)]) {
      const refused = await refusal(call(method, request, phone.token));
      expect(refused).toMatchObject({ code: "Unauthenticated", reason: "SESSION_INVALID" });
    }
    expect(node.contents()).toBe(before);
  });
});

describe("what an account changes", () => {
  // What only reads, what has limits of its own, and what must never be refused.
  const FREE: ReadonlySet<DescMethod> = new Set<DescMethod>([
    DiscoveryService.method.resolveDomain,
    AccountService.method.logOut,
    AccountService.method.listSessions,
    AccountService.method.getSealedKeys,
    AccountService.method.getSealedContacts,
    AccountService.method.changePassword,
    AccountService.method.deleteAccount,
    ShareService.method.getShareStatus,
    ShareService.method.listShares,
    ShareService.method.getShare,
    ShareService.method.watchShares,
    DomainService.method.getDomain,
    DomainService.method.listDomains,
    DomainService.method.listInvitations,
    DomainService.method.listAccounts,
    DomainService.method.listAuditRecords,
  ]);
  const paid = CLOSED.filter(
    ({ method }) => !FREE.has(method) && method.parent.typeName !== HashService.typeName,
  );

  it.each(paid)("is limited: $name", async ({ index, method }) => {
    const busy = await createPerson(node, `busy-${index}@acme.test`);
    const { id } = (await node.storage.accounts.byAddress(busy.address))!;
    for (const key of [`account:${id}`, `session:${busy.sessionId}`]) {
      await node.context.spend("account", key, 1_000);
    }
    await node.context.spend("send", `account:${id}`, 1_000);
    const refused = await refusal(call(method, {}, busy.token));
    expect(refused).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED" });
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    node.advance(1_000);
    expect((await outcome(call(method, {}, busy.token)))?.reason).not.toBe("RATE_LIMITED");
  });
});

describe.each(METHODS.filter(({ method }) => OPEN.has(method)))("$name", ({ method }) => {
  it("asks for no session, and an ended one is no hindrance", async () => {
    for (const token of [undefined, "A".repeat(43)]) {
      const refused = await outcome(call(method, {}, token));
      expect(refused?.reason ?? "answered").not.toMatch(/^SESSION_|^INTERNAL$/);
    }
  });
});

describe.each(METHODS)("$name", ({ index, method }) => {
  it("gives nobody what belongs to others, whose ids they know", async () => {
    const mallory = await createPerson(node, `mallory-${index}@acme.test`);
    const before = await belongings();
    const request = withOthersIds(method.input);
    for (const change of [{}, { box: ShareBox.SENT }, { pageToken: "" }]) {
      let answer = "";
      const refused = await outcome(
        call(method, { ...request, ...change }, mallory.token).then((text) => (answer = text)),
      );
      expect(refused?.reason).not.toBe("INTERNAL");
      expect(answer).not.toContain("secret phone");
      expect(answer).not.toContain(alice.sessionId);
      expect(answer).not.toContain(Buffer.from(shareId).toString("base64"));
    }
    expect(await belongings()).toBe(before);
  });

  it("meets no garbage that it cannot name", async () => {
    const mallory = await createPerson(node, `garbage-${index}@acme.test`);
    await fc.assert(
      fc.asyncProperty(garbage(method.input), async (request) => {
        const refused = await outcome(call(method, request, mallory.token));
        expect(refused?.code ?? "answered").not.toMatch(/^(Internal|Unknown|DataLoss)$/);
      }),
      { numRuns: 40 },
    );
  });
});

/** A request with Alice's ids, addresses and page tokens wherever a field takes such a thing. */
function withOthersIds(message: DescMessage): Record<string, unknown> {
  const values: Record<string, unknown> = {
    share_id: shareId,
    session_id: alice.sessionId,
    address: alice.address,
    page_token: sessionsPageToken,
    login_key: bob.loginKey,
    new_login_key: bob.loginKey,
    domain: message.field.domain?.fieldKind === "message" ? { domain: "partner.test" } : "partner.test",
    sealed_contacts: randomBytes(64),
    envelope: seal(node, alice, bob).envelope,
  };
  const filled = message.fields.filter(({ name }) => name in values);
  return Object.fromEntries(filled.map(({ localName, name }) => [localName, values[name]]));
}

/** Requests with anything in their fields that their types allow, the extremes above all. */
function garbage(message: DescMessage): fc.Arbitrary<Record<string, unknown>> {
  const members = message.members.map((member) => [member.localName, garbageMember(member)] as const);
  return fc.record(Object.fromEntries(members), { requiredKeys: [] });
}

function garbageMember(member: DescField | DescOneof): fc.Arbitrary<unknown> {
  if (member.kind === "field") return garbageField(member);
  return fc.oneof(
    ...member.fields.map((field) => garbageField(field).map((value) => ({ case: field.localName, value }))),
  );
}

function garbageField(field: DescField): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "message":
      return garbage(field.message);
    case "enum":
      return fc.constantFrom(0, 1, 2, 3, 99, -1, 2 ** 31 - 1);
    case "list":
      if (field.listKind === "message") return fc.array(garbage(field.message), { maxLength: 3 });
      if (field.listKind === "scalar")
        return fc.array(garbageScalar(field.scalar, field.name), { maxLength: 3 });
      throw new Error("no request has such a list");
    case "map":
      throw new Error("no request has a map");
    case "scalar":
      return garbageScalar(field.scalar, field.name);
  }
}

function garbageScalar(type: ScalarType, name: string): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.BYTES:
      return fc.constantFrom(0, 1, 12, 16, 28, 31, 32, 33, 60, 92, 600, 3_373).map(randomBytes);
    case ScalarType.STRING:
      return fc.oneof(
        fc.constantFrom(
          "",
          alice?.address,
          "nobody@acme.test",
          "@",
          "\u0000",
          "x".repeat(10_000),
          "password",
          crypto.randomUUID(),
        ),
        fc.string({ unit: "binary" }),
        name.endsWith("token") ? fc.base64String() : fc.emailAddress(),
      );
    case ScalarType.INT32:
      return fc.constantFrom(0, 1, -1, 100, 2 ** 31 - 1, -(2 ** 31));
    case ScalarType.UINT32:
      return fc.constantFrom(0, 1, 2, 3, 100, 101, 65_536, 2 ** 31, 2 ** 32 - 1);
    case ScalarType.UINT64:
      return fc.constantFrom(0n, 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n);
    case ScalarType.BOOL:
      return fc.boolean();
    default:
      throw new Error(`no request has a scalar of type ${type}`);
  }
}
