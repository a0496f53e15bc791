// What a domain's administrator may do, and nobody else: registration, invitations, accounts, and the log of it all.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RegistrationMode } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { UpdateDomainRequestSchema } from "../../gen/keypears/v1/domain_service_pb.ts";
import { DeliveryOutcome } from "../../gen/keypears/v1/federation_service_pb.ts";
import { readAuditRecord, requireAuditOrder } from "../../src/protocol/audit-record.ts";
import { parseKeySetBody } from "../../src/protocol/key-set.ts";
import { createPerson, creationRequest, type Person, seal, startNode, type TestNode } from "./node.ts";
import { ownerOf, type Publisher, publisher } from "./owner.ts";
import { refusal } from "./refusal.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const DOMAIN = "owner.test";

let published: Publisher;
let node: TestNode;
let alice: Person;
let mallory: Person;

beforeEach(async () => {
  published = publisher();
  node = await startNode({
    lookUpPublished: (domain) => published.lookUp(domain),
    hosting: { maxInvitations: 3, maxAccounts: 2 },
  });
  alice = await createPerson(node, "alice@acme.test");
  mallory = await createPerson(node, "mallory@acme.test");
  for (const [domain, person] of [
    [DOMAIN, alice],
    ["other.test", mallory],
  ] as const) {
    const owner = ownerOf(domain, node, published);
    owner.publish();
    await owner.claim(person);
  }
});
afterEach(() => node.close());

function setMode(registrationMode: RegistrationMode, person = alice) {
  return person.domains.updateDomain({
    domain: { domain: DOMAIN, registrationMode },
    updateMask: { paths: ["registration_mode"] },
  });
}

async function invite(name = "", lifetimeSeconds = 0) {
  const { invitation, code } = await alice.domains.createInvitation({
    domain: DOMAIN,
    name,
    lifetimeSeconds,
  });
  return { id: invitation!.invitationId, code };
}

async function create(name: string, invitationCode = "") {
  const request = await creationRequest(node, `${name}@${DOMAIN}`);
  const created = await node.as().accounts.createAccount({ ...request, invitationCode });
  return { ...request, ...node.as({ token: created.sessionToken }), token: created.sessionToken };
}

async function actions(domain = DOMAIN, person = alice): Promise<string[]> {
  const { records } = await person.domains.listAuditRecords({ domain });
  return records.map((record) => readAuditRecord(record, domain).action).toReversed();
}

describe("registration", () => {
  it("is by invitation at first; open and closed when the administrator says so", async () => {
    const mode = async () =>
      (await node.as().accounts.getCreationChallenge({ address: `new@${DOMAIN}` })).registrationMode;
    expect(await mode()).toBe(RegistrationMode.INVITATION);
    expect(await refusal(create("bob"))).toMatchObject({
      code: "PermissionDenied",
      reason: "INVITATION_REQUIRED",
    });
    await setMode(RegistrationMode.OPEN);
    expect(await mode()).toBe(RegistrationMode.OPEN);
    await create("bob");
    await setMode(RegistrationMode.CLOSED);
    const { code } = await invite();
    expect(await refusal(create("carol", code))).toMatchObject({ reason: "REGISTRATION_CLOSED" });
    expect(await actions()).toEqual([
      "claim.complete",
      "domain.registration",
      "account.create",
      "domain.registration",
      "invitation.create",
    ]);
  });

  it("is decided when the account is made, not when it was begun", async () => {
    await setMode(RegistrationMode.OPEN);
    const request = await creationRequest(node, `bob@${DOMAIN}`);
    await setMode(RegistrationMode.INVITATION);
    expect(await refusal(node.as().accounts.createAccount(request))).toMatchObject({
      reason: "INVITATION_REQUIRED",
    });
  });

  it("never opens reserved names, at the node's own domains either", async () => {
    await setMode(RegistrationMode.OPEN);
    for (const name of ["postmaster", "abuse", "ad.min", "no-reply"]) {
      expect(await refusal(create(name))).toMatchObject({
        code: "PermissionDenied",
        reason: "NAME_RESERVED",
      });
    }
    expect(await refusal(creationRequest(node, "postmaster@acme.test"))).toMatchObject({
      reason: "NAME_RESERVED",
    });
    const any = await invite();
    expect(await refusal(create("postmaster", any.code))).toMatchObject({ reason: "NAME_RESERVED" });
    const named = await invite("Postmaster");
    await create("postmaster", named.code);
  });

  it("ends with as many accounts as the domain may have", async () => {
    await setMode(RegistrationMode.OPEN);
    await create("bob");
    await create("carol");
    expect(await refusal(create("dave"))).toMatchObject({ reason: "QUOTA_EXCEEDED" });
  });

  it("takes settings that there are, and no others", async () => {
    const requests: readonly MessageInitShape<typeof UpdateDomainRequestSchema>[] = [
      { domain: { domain: DOMAIN }, updateMask: { paths: ["registration_mode"] } },
      { domain: { domain: DOMAIN, registrationMode: 1 }, updateMask: { paths: ["administrator"] } },
      { domain: { domain: DOMAIN, registrationMode: 1 }, updateMask: { paths: [] } },
      { domain: { domain: DOMAIN, registrationMode: 1 } },
    ];
    for (const request of requests) {
      expect(await refusal(alice.domains.updateDomain(request))).toMatchObject({ reason: "FIELD_INVALID" });
    }
  });
});

describe("an invitation", () => {
  it("lets one person make one account; its code is nowhere in the database", async () => {
    const { code } = await invite();
    expect(node.contents()).not.toContain(code);
    await create("bob", code);
    expect(await refusal(create("carol", code))).toMatchObject({
      code: "PermissionDenied",
      reason: "INVITATION_INVALID",
    });
    expect((await alice.domains.listInvitations({ domain: DOMAIN })).invitations).toEqual([]);
  });

  it("lets one in when ten try at once", async () => {
    const { code } = await invite();
    const attempts = await Promise.allSettled(
      ["a", "b", "c", "d", "e", "f"].map((name) => create(name, code)),
    );
    expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await alice.domains.listAccounts({ domain: DOMAIN })).accounts).toHaveLength(1);
  });

  it("is of no use for another name, another domain, when it is revoked or has expired", async () => {
    const invalid = { reason: "INVITATION_INVALID" };
    const named = await invite("bob");
    expect(await refusal(create("mallory", named.code))).toMatchObject(invalid);
    expect(await refusal(create("bob", "guessed"))).toMatchObject(invalid);
    const request = await creationRequest(node, "bob@other.test");
    expect(
      await refusal(node.as().accounts.createAccount({ ...request, invitationCode: named.code })),
    ).toMatchObject(invalid);
    await alice.domains.revokeInvitation({ domain: DOMAIN, invitationId: named.id });
    await alice.domains.revokeInvitation({ domain: DOMAIN, invitationId: named.id });
    expect(await refusal(create("bob", named.code))).toMatchObject(invalid);
    const short = await invite("bob", 60);
    node.advance(60_000);
    expect(await refusal(create("bob", short.code))).toMatchObject(invalid);
    expect((await alice.domains.listInvitations({ domain: DOMAIN })).invitations).toEqual([]);
  });

  it("is listed with others page by page, of which there may be so many", async () => {
    const made = [];
    for (let count = 0; count < 3; count += 1) {
      made.unshift((await invite()).id);
      node.advance(1);
    }
    expect(await refusal(invite())).toMatchObject({ reason: "QUOTA_EXCEEDED" });
    const first = await alice.domains.listInvitations({ domain: DOMAIN, pageSize: 2 });
    const second = await alice.domains.listInvitations({ domain: DOMAIN, pageToken: first.nextPageToken });
    expect([...first.invitations, ...second.invitations].map(({ invitationId }) => invitationId)).toEqual(
      made,
    );
    for (const wrong of [{ lifetimeSeconds: 30 * 86_400 + 1 }, { name: "not a name" }]) {
      const refused = await refusal(alice.domains.createInvitation({ domain: DOMAIN, ...wrong }));
      expect(refused.code).toBe("InvalidArgument");
    }
  });
});

describe("an account", () => {
  it("that is suspended loses its sessions, cannot log in or send, and deliveries wait; its keys stay", async () => {
    const bob = await create("bob", (await invite()).code);
    const address = `bob@${DOMAIN}`;
    const set = await alice.domains.setAccountSuspended({ address, suspended: true });
    expect(set.account).toMatchObject({ address, suspended: true });
    expect(await refusal(bob.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
    const login = { address, loginKey: bob.loginKey, deviceName: "phone" };
    expect(await refusal(node.as().accounts.logIn(login))).toMatchObject({
      code: "PermissionDenied",
      reason: "ACCOUNT_SUSPENDED",
    });
    // Who does not know the password does not learn of it.
    expect(await refusal(node.as().accounts.logIn({ ...login, loginKey: new Uint8Array(32) }))).toMatchObject(
      { reason: "LOGIN_FAILED" },
    );
    const { published: keys } = await node.as().keySets.getKeySet({ address });
    expect(keys?.activeNumber).toBe(1);
    const recipient = { keySet: parseKeySetBody(bob.keySet.body) };
    const { envelope } = seal(node, mallory, recipient);
    const deliver = async () =>
      (await node.as().federation.deliverShares({ envelopes: [envelope] })).results[0]?.outcome;
    expect(await deliver()).toBe(DeliveryOutcome.RETRY_LATER);

    await alice.domains.setAccountSuspended({ address, suspended: false });
    expect(await deliver()).toBe(DeliveryOutcome.ACCEPTED);
    await node.as().accounts.logIn(login);
    expect((await actions()).slice(-2)).toEqual(["account.suspend", "account.restore"]);
  });

  it("that is removed is gone with all that it holds, and its address stays taken", async () => {
    const bob = await create("bob", (await invite()).code);
    const address = `bob@${DOMAIN}`;
    await alice.domains.removeAccount({ address });
    expect(await refusal(bob.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
    expect(await refusal(node.as().keySets.getKeySet({ address }))).toMatchObject({
      reason: "ADDRESS_UNKNOWN",
    });
    expect(await refusal(alice.domains.removeAccount({ address }))).toMatchObject({
      reason: "ADDRESS_UNKNOWN",
    });
    const again = await invite();
    expect(await refusal(create("bob", again.code))).toMatchObject({ reason: "ADDRESS_TAKEN" });
    expect((await alice.domains.listInvitations({ domain: DOMAIN })).invitations).toHaveLength(1);
  });

  it("of the administrator's own cannot be suspended or removed", async () => {
    const bob = await create("bob", (await invite()).code);
    const owner = ownerOf("third.test", node, published);
    owner.publish();
    const address = `bob@${DOMAIN}`;
    expect(await refusal(bob.domains.setAccountSuspended({ address, suspended: true }))).toMatchObject({
      reason: "NOT_ADMINISTRATOR",
    });
    expect(
      await refusal(alice.domains.setAccountSuspended({ address: alice.address, suspended: true })),
    ).toMatchObject({ reason: "NOT_ADMINISTRATOR" });
  });
});

describe("the administrator of another domain", () => {
  it("is refused every act and every look, and nothing changes", async () => {
    const { id } = await invite();
    await create("bob", (await invite()).code);
    const before = node.contents();
    const address = `bob@${DOMAIN}`;
    const { domains } = mallory;
    for (const call of [
      domains.getDomain({ domain: DOMAIN }),
      domains.createInvitation({ domain: DOMAIN }),
      domains.listInvitations({ domain: DOMAIN }),
      domains.revokeInvitation({ domain: DOMAIN, invitationId: id }),
      domains.listAccounts({ domain: DOMAIN }),
      domains.setAccountSuspended({ address, suspended: true }),
      domains.removeAccount({ address }),
      domains.listAuditRecords({ domain: DOMAIN }),
      setMode(RegistrationMode.OPEN, mallory),
      domains.getDomain({ domain: "nowhere.test" }),
      domains.listAccounts({ domain: "acme.test" }),
      domains.removeAccount({ address: alice.address }),
    ]) {
      expect(await refusal(call)).toMatchObject({ code: "PermissionDenied", reason: "NOT_ADMINISTRATOR" });
    }
    // An id of another domain's invitation finds nothing.
    await domains.revokeInvitation({ domain: "other.test", invitationId: id });
    expect(node.contents()).toBe(before);
  });
});

describe("the audit log", () => {
  it("holds each act in a chain that shows what is changed, left out or put in", async () => {
    await create("bob", (await invite()).code);
    await alice.domains.setAccountSuspended({ address: `bob@${DOMAIN}`, suspended: true });
    const first = await alice.domains.listAuditRecords({ domain: DOMAIN, pageSize: 3 });
    const second = await alice.domains.listAuditRecords({ domain: DOMAIN, pageToken: first.nextPageToken });
    const records = [...first.records, ...second.records].toReversed();
    const chain = records.map((record) => ({ body: readAuditRecord(record, DOMAIN), hash: record.hash }));
    for (const [index, { body }] of chain.entries()) requireAuditOrder(chain[index - 1], body);
    expect(chain.map(({ body }) => [body.action, body.actor])).toEqual([
      ["claim.complete", alice.address],
      ["invitation.create", alice.address],
      ["account.create", `bob@${DOMAIN}`],
      ["account.suspend", alice.address],
    ]);
    expect(() => requireAuditOrder(chain[0], chain[2]!.body)).toThrow("stands where");
    expect(() => requireAuditOrder(undefined, chain[1]!.body)).toThrow("stands where");
    const forged = { body: Uint8Array.from(records[1]!.body), hash: records[1]!.hash };
    forged.body[forged.body.length - 1]! ^= 1;
    expect(() => readAuditRecord(forged, DOMAIN)).toThrow("hash");
    expect(() => readAuditRecord(records[1]!, "other.test")).toThrow("not of other.test");
    expect(await actions("other.test", mallory)).toEqual(["claim.complete"]);
  });

  it("is written with the act or not at all", async () => {
    const before = await actions();
    await refusal(alice.domains.setAccountSuspended({ address: `nobody@${DOMAIN}`, suspended: true }));
    await refusal(alice.domains.removeAccount({ address: `nobody@${DOMAIN}` }));
    await setMode(RegistrationMode.INVITATION);
    expect(await actions()).toEqual(before);
  });
});
