import { expect, test } from "vitest";
import {
  acceptMany,
  account,
  bytes,
  createAccount,
  DAY,
  enqueue,
  NOW,
  notice,
  password,
  range,
  request,
  session,
} from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

export function accountTests(open: OpenStorages): void {
  test("an address is taken once, also when ten ask for it at once", async () => {
    const [one, other] = await open().pair();
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, i) => (i % 2 ? one : other).accounts.create(account("alice@acme.test"))),
    );
    expect(results.filter(({ kind }) => kind === "created")).toHaveLength(1);
    expect(results.filter(({ kind }) => kind === "address-taken")).toHaveLength(9);
  });

  test("a challenge makes one account, and a refused creation leaves its address free", async () => {
    const storage = await open().fresh();
    const challenge = { id: bytes(), expiresAt: NOW + 900_000 };
    const [first, second] = await Promise.all([
      storage.accounts.create(account("alice@acme.test", { challenge })),
      storage.accounts.create(account("bob@acme.test", { challenge })),
    ]);
    expect([first.kind, second.kind].sort()).toEqual(["challenge-spent", "created"]);
    const refused = first.kind === "created" ? "bob@acme.test" : "alice@acme.test";
    expect(await storage.accounts.byAddress(refused)).toBeUndefined();
    await createAccount(storage, refused, { challenge: { id: bytes(), expiresAt: NOW + 900_000 } });
  });

  test("a taken address does not spend the challenge", async () => {
    const storage = await open().fresh();
    await createAccount(storage, "alice@acme.test");
    const challenge = { id: bytes(), expiresAt: NOW + 900_000 };
    expect((await storage.accounts.create(account("alice@acme.test", { challenge }))).kind).toBe(
      "address-taken",
    );
    expect((await storage.accounts.create(account("bob@acme.test", { challenge }))).kind).toBe("created");
  });

  test("an account is found by address and id with what it began with", async () => {
    const storage = await open().fresh();
    const made = account("älice@acme.test");
    const id = await storage.accounts
      .create(made)
      .then((result) => result.kind === "created" && result.accountId);
    const expected = {
      id,
      address: "älice@acme.test",
      createdAt: NOW,
      activeKeyNumber: 1,
      password: made.password,
      storedBytes: 0,
      suspended: false,
    };
    expect(await storage.accounts.byAddress("älice@acme.test")).toEqual(expected);
    expect(await storage.accounts.byId(Number(id))).toEqual(expected);
    expect(await storage.accounts.byAddress("Älice@acme.test")).toBeUndefined();
    expect(await storage.accounts.byId(Number(id) + 1)).toBeUndefined();
  });

  test("byte strings come back as plain Uint8Array", async () => {
    const storage = await open().fresh();
    await createAccount(storage, "alice@acme.test");
    const found = await storage.accounts.byAddress("alice@acme.test");
    expect(Object.getPrototypeOf(found!.password.salt)).toBe(Uint8Array.prototype);
  });

  test("a password change with an old wrap number changes nothing", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const { id } = (await storage.accounts.byAddress("alice@acme.test"))!;
    const change = {
      accountId: id,
      expectedWrapNumber: 2,
      password: password(3),
      keepSessionId: made.session.id,
      now: NOW,
      notice: notice(),
      request: request(),
    };
    expect(await storage.accounts.changePassword(change)).toEqual({ kind: "conflict" });
    expect((await storage.accounts.byId(id))!.password).toEqual(made.password);
    expect(await storage.notices.latestId(id)).toBe(0);
    // A conflict changed nothing, so the same request may be tried again when it fits.
    expect((await storage.accounts.changePassword({ ...change, expectedWrapNumber: 1 })).kind).toBe(
      "changed",
    );
  });

  test("a password change ends all other sessions, tells about it, and answers a repeated request alike", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const { id } = (await storage.accounts.byAddress("alice@acme.test"))!;
    const others = [session(), session()];
    for (const other of others) await storage.sessions.create(id, other);
    const change = {
      accountId: id,
      expectedWrapNumber: 1,
      password: password(2),
      keepSessionId: made.session.id,
      now: NOW + 1,
      notice: notice(NOW + 1),
      request: request("ChangePassword"),
    };
    const result = await storage.accounts.changePassword(change);
    expect(result).toMatchObject({ kind: "changed", revokedSessions: 2 });
    expect(result.kind === "changed" && [...result.revokedSessionIds].sort()).toEqual(
      others.map((other) => other.id).sort(),
    );
    expect((await storage.accounts.byId(id))!.password).toEqual(change.password);
    expect(await storage.sessions.byTokenHash(others[0]!.tokenHash, NOW + 1)).toBeUndefined();
    expect(await storage.sessions.byTokenHash(made.session.tokenHash, NOW + 1)).toBeDefined();

    expect(await storage.accounts.changePassword(change)).toEqual(result);
    expect(await storage.accounts.earlierResult(id, change.request, NOW + 1)).toEqual(result);
    expect(await storage.notices.after(id, 0)).toHaveLength(1);
  });

  test("a request id answers for its own method and request alone, and for a day", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const other = await createAccount(storage, "bob@acme.test");
    const first = request("PutSealedContacts");
    const put = { accountId: id, expectedVersion: 0, sealed: bytes(100), now: NOW, request: first };
    expect(await storage.accounts.putSealedContacts(put)).toEqual({ kind: "put", version: 1 });
    const reused = { kind: "request-id-reused" };
    expect(await storage.accounts.earlierResult(id, { ...first, method: "Publish" }, NOW)).toEqual(reused);
    expect(await storage.accounts.earlierResult(id, { ...first, fingerprint: bytes() }, NOW)).toEqual(reused);
    expect(
      await storage.accounts.putSealedContacts({ ...put, request: { ...first, fingerprint: bytes() } }),
    ).toEqual(reused);
    expect(await storage.accounts.earlierResult(other, first, NOW)).toBeUndefined();
    expect(await storage.accounts.earlierResult(id, first, NOW + DAY - 1)).toEqual({
      kind: "put",
      version: 1,
    });
    expect(await storage.accounts.earlierResult(id, first, NOW + DAY)).toBeUndefined();
    // After a day the id is free again, swept or not.
    const later = { ...put, expectedVersion: 1, now: NOW + DAY, request: { ...first, fingerprint: bytes() } };
    expect(await storage.accounts.putSealedContacts(later)).toEqual({ kind: "put", version: 2 });
  });

  test("the same request sent ten times at once is done once", async () => {
    const [one, other] = await open().pair();
    const id = await createAccount(one, "alice@acme.test");
    const put = { accountId: id, expectedVersion: 0, sealed: bytes(100), now: NOW, request: request() };
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, i) => (i % 2 ? one : other).accounts.putSealedContacts(put)),
    );
    for (const result of results) expect(result).toEqual({ kind: "put", version: 1 });
    expect(await one.accounts.sealedContacts(id)).toEqual({ version: 1, sealed: put.sealed });
  });

  test("sealed contacts begin empty and are replaced only on top of the version that was seen", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    expect(await storage.accounts.sealedContacts(id)).toEqual({ version: 0, sealed: new Uint8Array(0) });
    const put = (expectedVersion: number, sealed: Uint8Array) =>
      storage.accounts.putSealedContacts({
        accountId: id,
        expectedVersion,
        sealed,
        now: NOW,
        request: request(),
      });
    expect(await put(3, bytes(10))).toEqual({ kind: "conflict", version: 0 });
    const [a, b] = await Promise.all([put(0, bytes(10)), put(0, bytes(20))]);
    expect([a.kind, b.kind].sort()).toEqual(["conflict", "put"]);
    expect((await storage.accounts.sealedContacts(id)).version).toBe(1);
  });

  test("deleting an unknown account changes nothing", async () => {
    const storage = await open().fresh();
    expect(await storage.accounts.delete(4711, NOW)).toEqual([]);
  });

  test("a deleted account is gone with everything it had, and its address stays taken", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const { id } = (await storage.accounts.byAddress("alice@acme.test"))!;
    const bob = await createAccount(storage, "bob@acme.test");
    await acceptMany(storage, id, 3);
    const kept = await acceptMany(storage, bob, 1);
    const sent = await enqueue(storage, id);
    await storage.contacts.set(id, "carol@x.test", "BLOCKED", { now: NOW, maxContacts: 100 });

    expect(await storage.accounts.delete(id, NOW)).toEqual([made.session.id]);

    expect(await storage.accounts.byId(id)).toBeUndefined();
    expect(await storage.accounts.byAddress("alice@acme.test")).toBeUndefined();
    expect(await storage.sessions.byTokenHash(made.session.tokenHash, NOW)).toBeUndefined();
    expect(await storage.keySets.get("alice@acme.test", 0)).toEqual({ kind: "address-unknown" });
    expect(await storage.keySets.sealed(id)).toEqual([]);
    expect(await storage.contacts.state(id, "carol@x.test")).toBe("NONE");
    expect(await storage.received.list(id, { limit: 10, now: NOW })).toEqual([]);
    expect(await storage.outbox.status(id, sent.shareId)).toBeUndefined();
    expect(await storage.outbox.nextDueAt()).toBeUndefined();
    expect((await storage.accounts.create(account("alice@acme.test"))).kind).toBe("address-taken");
    expect(await storage.received.list(bob, { limit: 10, now: NOW })).toHaveLength(1);
    expect(await storage.received.get(bob, kept[0]!.envelope.shareId, NOW)).toBeDefined();
    expect(await storage.accounts.delete(id, NOW)).toEqual([]);
  });

  test("nothing is written for an account that is gone", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    await storage.accounts.delete(id, NOW);
    await expect(storage.sessions.create(id, session())).rejects.toMatchObject({ reason: "ACCOUNT_GONE" });
    await expect(enqueue(storage, id)).rejects.toMatchObject({ reason: "ACCOUNT_GONE", retryable: false });
    await storage.contacts.set(id, "carol@x.test", "ACCEPTED", { now: NOW, maxContacts: 100 });
    expect(await storage.contacts.state(id, "carol@x.test")).toBe("NONE");
  });

  test("what is under way when its sender's account is deleted still arrives, then goes", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    await enqueue(storage, id);
    const lease = {
      destination: "partner.test",
      token: "a",
      leaseMs: 60_000,
      limit: 10,
      maxBytes: 1e6,
      now: NOW,
    };
    const [leased] = await storage.outbox.lease(lease);
    await storage.accounts.delete(id, NOW);
    const results = [{ outboxId: leased!.outboxId, update: { kind: "delivered" } as const }];
    expect(await storage.outbox.settle("a", results, NOW + 1)).toBe(1);
    expect(await storage.outbox.nextDueAt()).toBeUndefined();
  });

  test("the cluster secret is the same for everybody, whoever asks first", async () => {
    const [one, other] = await open().pair();
    const secrets = await Promise.all([one, other, one, other].map(({ secrets }) => secrets.clusterSecret()));
    expect(secrets[0]).toHaveLength(32);
    for (const secret of secrets) expect(secret).toEqual(secrets[0]);
  });

  test("what an account says about others is kept until it says otherwise", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const state = () => storage.contacts.state(id, "carol@x.test");
    expect(await state()).toBe("NONE");
    for (const said of ["ACCEPTED", "BLOCKED", "NONE", "BLOCKED"] as const) {
      await storage.contacts.set(id, "carol@x.test", said, { now: NOW, maxContacts: 100 });
      expect(await state()).toBe(said);
    }
  });
  test("an account has only so many contacts, which it may still change and forget", async () => {
    const [one, other] = await open().pair();
    const id = await createAccount(one, "alice@acme.test");
    const write = { now: NOW, maxContacts: 2 };
    const set = await Promise.all(
      range(1, 6).map((i) => (i % 2 ? one : other).contacts.set(id, `user${i}@x.test`, "ACCEPTED", write)),
    );
    expect(set.filter((isSet) => isSet)).toHaveLength(2);
    const kept = `user${set.indexOf(true) + 1}@x.test`;
    expect(await one.contacts.set(id, kept, "BLOCKED", write)).toBe(true);
    expect(await one.contacts.set(id, "new@x.test", "BLOCKED", write)).toBe(false);
    expect(await one.contacts.state(id, "new@x.test")).toBe("NONE");
    expect(await one.contacts.set(id, kept, "NONE", write)).toBe(true);
    expect(await one.contacts.set(id, "new@x.test", "BLOCKED", write)).toBe(true);
  });
}
