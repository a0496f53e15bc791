import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { randomBytes } from "../../src/crypto/index.ts";
import { createPerson, logIn, type Person, passwordParameters, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

const DAY = 24 * 60 * 60 * 1_000;

let node: TestNode;
let alice: Person;
beforeAll(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
});
afterAll(() => node.close());

describe("login parameters", () => {
  it("are given as they were stored", async () => {
    const { passwordParameters: given } = await node.as().accounts.getLoginParameters({
      address: "Alice@ACME.test",
    });
    expect(given).toMatchObject({ memoryKib: 65_536, passes: 3, lanes: 1 });
    expect(given?.salt).toHaveLength(32);
  });

  it.each([
    ["nobody@acme.test", "NotFound", "ADDRESS_UNKNOWN"],
    ["alice@partner.test", "FailedPrecondition", "DOMAIN_NOT_HOSTED"],
    ["alice", "InvalidArgument", "ADDRESS_INVALID"],
  ])("of %s are refused with %s %s", async (address, code, reason) => {
    expect(await refusal(node.as().accounts.getLoginParameters({ address }))).toMatchObject({ code, reason });
  });
});

describe("logging in", () => {
  it.each([
    ["a login key of 31 bytes", { loginKey: randomBytes(31) }, "FIELD_INVALID", "login_key"],
    ["no address", { address: "" }, "ADDRESS_INVALID", "address"],
    ["a device name with a tab", { deviceName: "a\tb" }, "FIELD_INVALID", "device_name"],
  ])("is refused for %s", async (_what, change, reason, field) => {
    const { address, loginKey } = alice;
    const before = node.contents();
    const refused = await refusal(node.as().accounts.logIn({ address, loginKey, ...change }));
    expect(refused).toMatchObject({ code: "InvalidArgument", reason, field });
    expect(node.contents()).toBe(before);
  });

  it("fails in the same way for a wrong password and for an address without an account", async () => {
    const { accounts } = node.as();
    const before = node.contents();
    const wrong = await refusal(accounts.logIn({ address: alice.address, loginKey: randomBytes(32) }));
    const unknown = await refusal(accounts.logIn({ address: "nobody@acme.test", loginKey: randomBytes(32) }));
    expect(wrong).toMatchObject({ code: "Unauthenticated", reason: "LOGIN_FAILED" });
    expect(unknown).toEqual(wrong);
    expect(node.contents()).toBe(before);
  });

  it("gives a session, and the account key as it is wrapped", async () => {
    const { address, loginKey } = alice;
    const opened = await node.as().accounts.logIn({ address, loginKey, deviceName: "phone" });
    expect(opened.session).toMatchObject({ deviceName: "phone", current: true });
    expect(opened.wrappedAccountKey).toMatchObject({ kind: "password", number: 1 });
    await expect(node.as({ token: opened.sessionToken }).accounts.getSealedKeys({})).resolves.toBeDefined();
  });

  describe("under attack", () => {
    let strict: TestNode;
    let bob: Person;
    beforeAll(async () => {
      strict = await startNode({ limits: { loginAttemptsPerMinute: 6, failedLoginsPerMinute: 5 } });
      bob = await createPerson(strict, "bob@acme.test");
      await attempt("home", bob.address, bob.loginKey);
    });
    afterEach(() => strict.advance(60_000));
    afterAll(() => strict.close());

    const attempt = (sourcePrefix: string, address: string, loginKey: Uint8Array = randomBytes(32)) =>
      strict.as({ sourcePrefix }).accounts.logIn({ address, loginKey });
    const guess = (...args: Parameters<typeof attempt>) => refusal(attempt(...args));
    /** Fails from elsewhere as often as the whole address may. */
    async function spendFailures(address: string): Promise<void> {
      for (let i = 0; i < 5; i++) {
        expect(await guess(`elsewhere-${i}`, address)).toMatchObject({ reason: "LOGIN_FAILED" });
      }
    }

    it("is limited per source prefix, and to a third of that at one address, each with a delay", async () => {
      for (let i = 0; i < 2; i++) {
        expect(await guess("one", bob.address)).toMatchObject({ reason: "LOGIN_FAILED" });
      }
      const limited = await guess("one", bob.address, bob.loginKey);
      expect(limited).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED" });
      expect(limited.retryAfterMs).toBeGreaterThan(0);
      await expect(attempt("another", bob.address, bob.loginKey)).resolves.toBeDefined();
      for (let i = 0; i < 4; i++) {
        expect(await guess("one", `nobody${i}@acme.test`)).toMatchObject({ reason: "LOGIN_FAILED" });
      }
      expect(await guess("one", "nobody4@acme.test")).toMatchObject({ reason: "RATE_LIMITED" });
    });

    it("stops at so many failures for an address, also for who guesses right from elsewhere", async () => {
      await spendFailures(bob.address);
      const wrong = await guess("new", bob.address);
      expect(wrong).toMatchObject({ reason: "RATE_LIMITED" });
      expect(await guess("newer", bob.address, bob.loginKey)).toEqual(wrong);
    });

    it("does not tell by its limits whether there is an account", async () => {
      await spendFailures("nobody@acme.test");
      const unknown = await guess("new", "nobody@acme.test");
      await spendFailures(bob.address);
      expect(await guess("new", bob.address)).toEqual(unknown);
    });

    it("lets the owner in from where the account was logged in to before", async () => {
      await spendFailures(bob.address);
      await expect(attempt("home", bob.address, bob.loginKey)).resolves.toBeDefined();
      expect(await guess("home", bob.address)).toMatchObject({ reason: "LOGIN_FAILED" });
      expect(await guess("home", bob.address, bob.loginKey)).toMatchObject({ reason: "RATE_LIMITED" });
    });

    it("costs the address nothing where it succeeds", async () => {
      for (let i = 0; i < 10; i++) await attempt(`device-${i}`, bob.address, bob.loginKey);
      await spendFailures(bob.address);
    });

    it("does not keep the owner from what needs the login key beside a session", async () => {
      await spendFailures(bob.address);
      const change = bob.accounts.changePassword({
        loginKey: bob.loginKey,
        newLoginKey: randomBytes(32),
        passwordParameters: passwordParameters(),
        wrappedAccountKey: { kind: "password", number: 2, wrappedKey: randomBytes(60) },
      });
      await expect(change).resolves.toMatchObject({ revokedSessions: expect.any(Number) });
    });
  });

  it("leaves no session behind when the password is changed at the same moment", async () => {
    const person = await createPerson(node, "race@acme.test");
    const { sessions, accounts } = node.context.stores;
    const slowSessions: typeof sessions = {
      ...sessions,
      async create(accountId, session) {
        await person.accounts.changePassword({
          loginKey: person.loginKey,
          newLoginKey: randomBytes(32),
          passwordParameters: passwordParameters(),
          wrappedAccountKey: { kind: "password", number: 2, wrappedKey: randomBytes(60) },
        });
        await sessions.create(accountId, session);
      },
    };
    const raced = node.as({ context: { stores: { ...node.context.stores, sessions: slowSessions } } });
    const { address, loginKey } = person;
    expect(await refusal(raced.accounts.logIn({ address, loginKey }))).toMatchObject({
      reason: "LOGIN_FAILED",
    });
    const account = await accounts.byAddress(address);
    const left = await sessions.list(account!.id, { limit: 10, now: node.now() });
    expect(left.map(({ id }) => id)).toEqual([person.sessionId]);
  });
});

describe("a session", () => {
  it.each(["", "x", "Bearer", "a".repeat(43)])("is not opened by the token %j", async (token) => {
    const refused = await refusal(node.as({ token }).accounts.listSessions({}));
    expect(refused).toMatchObject({ code: "Unauthenticated", reason: "SESSION_INVALID" });
  });

  it("is opened by one spelling of its token only", async () => {
    const last = alice.token.at(-1)!;
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const sameBits = alphabet[alphabet.indexOf(last) ^ 1]!;
    const token = alice.token.slice(0, -1) + sameBits;
    expect(Buffer.from(token, "base64url")).toEqual(Buffer.from(alice.token, "base64url"));
    expect(await refusal(node.as({ token }).accounts.listSessions({}))).toMatchObject({
      reason: "SESSION_INVALID",
    });
  });

  it("ends when it logs out", async () => {
    const phone = await logIn(node, alice, "phone");
    await phone.accounts.logOut({});
    expect(await refusal(phone.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
  });

  it("ends when another session of the account revokes it, and revoking it again succeeds", async () => {
    const phone = await logIn(node, alice, "phone");
    await alice.accounts.revokeSession({ sessionId: phone.sessionId });
    expect(await refusal(phone.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
    await alice.accounts.revokeSession({ sessionId: phone.sessionId });
  });

  it.each(["", "x", "A".repeat(32), "0".repeat(31)])("is not named by %j", async (sessionId) => {
    const refused = await refusal(alice.accounts.revokeSession({ sessionId }));
    expect(refused).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID", field: "session_id" });
  });

  it("of another account cannot be revoked, nor is it told whether there is one", async () => {
    const mallory = await createPerson(node, "mallory@acme.test");
    const before = node.contents();
    await mallory.accounts.revokeSession({ sessionId: alice.sessionId });
    expect(node.contents()).toBe(before);
    await expect(alice.accounts.listSessions({})).resolves.toBeDefined();
  });

  it("ends after 30 days without use, and after a year with", async () => {
    const aging = await startNode();
    try {
      const idle = await createPerson(aging, "idle@acme.test");
      const busy = await createPerson(aging, "busy@acme.test");
      for (let day = 0; day < 365; day += 29) {
        await busy.accounts.listSessions({});
        if (day === 29) await idle.accounts.listSessions({});
        aging.advance(29 * DAY);
      }
      expect(await refusal(idle.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
      expect(await refusal(busy.accounts.listSessions({}))).toMatchObject({ reason: "SESSION_INVALID" });
    } finally {
      await aging.close();
    }
  });

  it("tells when it would end, and that is put off by use", async () => {
    const aging = await startNode();
    try {
      const person = await createPerson(aging, "dave@acme.test");
      const expiry = async () => (await person.accounts.listSessions({})).sessions[0]!.expiresAt;
      const first = await expiry();
      expect(Number(first)).toBe(aging.now() + 30 * DAY);
      aging.advance(10 * DAY);
      await person.accounts.listSessions({});
      expect(await expiry()).toBe(first + BigInt(10 * DAY));
    } finally {
      await aging.close();
    }
  });
});

describe("the list of sessions", () => {
  it("has a page token that goes on where the page ended, newest first", async () => {
    const person = await createPerson(node, "many@acme.test");
    for (const deviceName of ["one", "two", "three", "four"]) {
      node.advance(1_000);
      await logIn(node, person, deviceName);
    }
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await person.accounts.listSessions({ pageSize: 2, pageToken });
      expect(page.sessions.length).toBeLessThanOrEqual(2);
      names.push(...page.sessions.map(({ deviceName }) => deviceName));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toEqual(["four", "three", "two", "one", "laptop"]);
  });

  it("has notices on its first page only", async () => {
    const person = await createPerson(node, "noted@acme.test");
    await logIn(node, person, "phone");
    const newLoginKey = randomBytes(32);
    await person.accounts.changePassword({
      loginKey: person.loginKey,
      newLoginKey,
      passwordParameters: passwordParameters(),
      wrappedAccountKey: { kind: "password", number: 2, wrappedKey: randomBytes(60) },
    });
    await logIn(node, { ...person, loginKey: newLoginKey }, "phone");
    const first = await person.accounts.listSessions({ pageSize: 1 });
    expect(first.notices).toMatchObject([{ kind: 3, deviceName: "laptop", keySetNumber: 0 }]);
    const second = await person.accounts.listSessions({ pageSize: 1, pageToken: first.nextPageToken });
    expect(second).toMatchObject({ notices: [], nextPageToken: "" });
  });

  it.each([
    [{ pageSize: -1 }, "FIELD_INVALID", "page_size"],
    [{ pageToken: "x" }, "PAGE_TOKEN_INVALID", "page_token"],
    [
      { pageToken: Buffer.from("ListSessions alice@acme.test\n1").toString("base64url") },
      "PAGE_TOKEN_INVALID",
      "page_token",
    ],
  ])("is refused for %j", async (request, reason, field) => {
    const refused = await refusal(alice.accounts.listSessions(request));
    expect(refused).toMatchObject({ code: "InvalidArgument", reason, field });
  });

  it("does not take another account's page token", async () => {
    await logIn(node, alice, "tablet");
    const { nextPageToken } = await alice.accounts.listSessions({ pageSize: 1 });
    const eve = await createPerson(node, "eve@acme.test");
    expect(await refusal(eve.accounts.listSessions({ pageToken: nextPageToken }))).toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
  });
});
