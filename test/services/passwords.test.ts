import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { randomBytes } from "../../src/crypto/index.ts";
import {
  asStored,
  createPerson,
  deliver,
  logIn,
  type Person,
  passwordParameters,
  startNode,
  type TestNode,
} from "./node.ts";
import { refusal } from "./refusal.ts";

let node: TestNode;
let alice: Person;
let counter = 0;
beforeAll(async () => {
  node = await startNode();
});
beforeEach(async () => {
  alice = await createPerson(node, `alice${counter++}@acme.test`);
});
afterAll(() => node.close());

/** A complete request to change the password. */
function change(person: Person) {
  return {
    requestId: randomUUID() as string,
    loginKey: person.loginKey,
    newLoginKey: randomBytes(32),
    passwordParameters: passwordParameters(),
    wrappedAccountKey: { kind: "password", number: 2, wrappedKey: randomBytes(60) },
  };
}
type Change = ReturnType<typeof change>;

describe("changing the password", () => {
  it.each<{
    what: string;
    wrong: (request: Change) => object;
    code?: string;
    reason: string;
    field?: string;
  }>([
    {
      what: "no login key",
      wrong: () => ({ loginKey: new Uint8Array() }),
      code: "PermissionDenied",
      reason: "LOGIN_KEY_REQUIRED",
    },
    {
      what: "a wrong login key",
      wrong: () => ({ loginKey: randomBytes(32) }),
      code: "Unauthenticated",
      reason: "LOGIN_FAILED",
    },
    {
      what: "a cut login key",
      wrong: () => ({ loginKey: randomBytes(31) }),
      reason: "FIELD_INVALID",
      field: "login_key",
    },
    {
      what: "a cut new login key",
      wrong: () => ({ newLoginKey: randomBytes(31) }),
      reason: "FIELD_INVALID",
      field: "new_login_key",
    },
    {
      what: "a password that is too cheap to guess",
      wrong: ({ passwordParameters: now }) => ({ passwordParameters: { ...now, passes: 1 } }),
      reason: "FIELD_INVALID",
      field: "password_parameters.passes",
    },
    {
      what: "a wrap number that is not the next",
      wrong: ({ wrappedAccountKey: now }) => ({ wrappedAccountKey: { ...now, number: 1 } }),
      reason: "FIELD_INVALID",
      field: "wrapped_account_key.number",
    },
    {
      what: "a request id that is no UUID",
      wrong: () => ({ requestId: "1" }),
      reason: "FIELD_INVALID",
      field: "request_id",
    },
    {
      what: "a request id of another version",
      wrong: () => ({ requestId: "2ed6657d-e927-11ef-9cd2-0242ac120002" }),
      reason: "FIELD_INVALID",
      field: "request_id",
    },
  ])(
    "is refused for $what, and changes nothing",
    async ({ wrong, reason, field, code = "InvalidArgument" }) => {
      const request = change(alice);
      const before = node.contents();
      const refused = await refusal(alice.accounts.changePassword({ ...request, ...wrong(request) }));
      expect(refused).toMatchObject({ code, reason, ...(field && { field }) });
      expect(node.contents()).toBe(before);
    },
  );

  it("is refused for the salt that is in use", async () => {
    const { passwordParameters: inUse } = await alice.accounts.getLoginParameters({ address: alice.address });
    const request = { ...change(alice), passwordParameters: inUse! };
    expect(await refusal(alice.accounts.changePassword(request))).toMatchObject({
      reason: "FIELD_INVALID",
      field: "password_parameters.salt",
    });
  });

  it("lets the new login key in and the old one no more", async () => {
    const request = change(alice);
    await alice.accounts.changePassword(request);
    const { address } = alice;
    const old = node.as().accounts.logIn({ address, loginKey: alice.loginKey });
    expect(await refusal(old)).toMatchObject({ reason: "LOGIN_FAILED" });
    const opened = await node.as().accounts.logIn({ address, loginKey: request.newLoginKey });
    expect(opened.wrappedAccountKey).toMatchObject(request.wrappedAccountKey);
    const { passwordParameters: given } = await node.as().accounts.getLoginParameters({ address });
    expect(given).toMatchObject(request.passwordParameters);
  });

  it("ends all other sessions and tells the one that is left", async () => {
    const phone = await logIn(node, alice, "phone");
    const tablet = await logIn(node, alice, "tablet");
    expect(await phone.accounts.changePassword(change(alice))).toMatchObject({ revokedSessions: 2 });
    for (const ended of [alice, tablet]) {
      expect(await refusal(ended.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
    }
    const { sessions, notices } = await phone.accounts.listSessions({});
    expect(sessions.map(({ deviceName }) => deviceName)).toEqual(["phone"]);
    expect(notices).toMatchObject([{ kind: 3, deviceName: "phone" }]);
  });

  it("answers a repeated request as the first time, though the old login key is no longer right", async () => {
    await logIn(node, alice, "phone");
    const request = change(alice);
    const first = await alice.accounts.changePassword(request);
    const before = node.contents();
    expect(await alice.accounts.changePassword(request)).toEqual(first);
    expect(
      await alice.accounts.changePassword({ ...request, requestId: request.requestId.toUpperCase() }),
    ).toEqual(first);
    expect(node.contents()).toBe(before);
  });

  it("refuses a request id that was used for another change", async () => {
    const request = change(alice);
    await alice.accounts.changePassword(request);
    const other = { ...change(alice), requestId: request.requestId };
    expect(await refusal(alice.accounts.changePassword(other))).toMatchObject({
      code: "InvalidArgument",
      reason: "REQUEST_ID_REUSED",
      field: "request_id",
    });
    const elsewhere = { requestId: request.requestId, expectedVersion: 0n, sealedContacts: randomBytes(28) };
    expect(await refusal(alice.accounts.putSealedContacts(elsewhere))).toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
  });

  it("takes a request without an id, and never for a repetition", async () => {
    const request = { ...change(alice), requestId: "" };
    await alice.accounts.changePassword(request);
    expect(await refusal(alice.accounts.changePassword(request))).toMatchObject({ reason: "LOGIN_FAILED" });
  });

  it("keeps no trace of either login key", async () => {
    const request = change(alice);
    await alice.accounts.changePassword(request);
    const stored = node.contents();
    expect(stored).toContain(asStored(request.passwordParameters.salt));
    expect(stored).not.toContain(asStored(request.loginKey));
    expect(stored).not.toContain(asStored(request.newLoginKey));
  });

  it("lets one of two changes at once through", async () => {
    const phone = await logIn(node, alice, "phone");
    const outcomes = await Promise.allSettled([
      alice.accounts.changePassword(change(alice)),
      phone.accounts.changePassword(change(alice)),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });
});

describe("deleting an account", () => {
  it.each([
    ["no login key", new Uint8Array(), "LOGIN_KEY_REQUIRED"],
    ["a wrong login key", randomBytes(32), "LOGIN_FAILED"],
    ["a cut login key", randomBytes(16), "FIELD_INVALID"],
  ])("is refused for %s, and changes nothing", async (_what, loginKey, reason) => {
    const before = node.contents();
    expect(await refusal(alice.accounts.deleteAccount({ loginKey }))).toMatchObject({ reason });
    expect(node.contents()).toBe(before);
  });

  it("ends its sessions, forgets its keys and shares, and leaves what others hold", async () => {
    const bob = await createPerson(node, `bob${counter}@acme.test`);
    await deliver(node, bob, alice);
    const held = await deliver(node, alice, bob);
    await alice.accounts.deleteAccount({ loginKey: alice.loginKey });
    expect(await refusal(alice.accounts.getSealedKeys({}))).toMatchObject({ reason: "SESSION_INVALID" });
    const { address, loginKey } = alice;
    expect(await refusal(bob.keySets.getKeySet({ address }))).toMatchObject({ reason: "ADDRESS_UNKNOWN" });
    expect(await refusal(bob.accounts.logIn({ address, loginKey }))).toMatchObject({
      reason: "LOGIN_FAILED",
    });
    await expect(bob.shares.getShare({ shareId: held })).resolves.toMatchObject({
      summary: { sender: address },
    });
  });
});

describe("login keys beside a session", () => {
  it("can be guessed a few times per account and minute only, from wherever", async () => {
    const strict = await startNode({ limits: { loginAttemptsPerMinute: 2 } });
    try {
      const person = await createPerson(strict, "alice@acme.test");
      const guess = (sourcePrefix: string) =>
        refusal(
          strict
            .as({ token: person.token, sourcePrefix })
            .accounts.deleteAccount({ loginKey: randomBytes(32) }),
        );
      expect(await guess("a")).toMatchObject({ reason: "LOGIN_FAILED" });
      expect(await guess("b")).toMatchObject({ reason: "LOGIN_FAILED" });
      expect(await guess("c")).toMatchObject({ reason: "RATE_LIMITED" });
    } finally {
      await strict.close();
    }
  });
});
