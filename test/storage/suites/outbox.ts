import { expect, test } from "vitest";
import { toHex } from "../../../src/crypto/bytes.ts";
import type { Storage } from "../../../src/storage/open.ts";
import type { DeliveryUpdate } from "../../../src/storage/stores.ts";
import {
  account,
  bytes,
  createAccount,
  DAY,
  ENVELOPE_BYTES,
  enqueue,
  envelope,
  MAX_BYTES,
  NOW,
  range,
  SECOND,
} from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

const LEASE_MS = 60 * SECOND;

export function outboxTests(open: OpenStorages): void {
  const lease = (storage: Storage, token: string, now = NOW, changes = {}) =>
    storage.outbox.lease({
      destination: "partner.test",
      token,
      leaseMs: LEASE_MS,
      limit: 256,
      maxBytes: MAX_BYTES,
      now,
      ...changes,
    });
  const delivered = { kind: "delivered" } as const;

  test("an empty outbox has nothing due", async () => {
    const storage = await open().fresh();
    expect(await storage.outbox.nextDueAt()).toBeUndefined();
    expect(await storage.outbox.dueDestinations("UNTRIED", NOW, 10)).toEqual([]);
    expect(await lease(storage, "a")).toEqual([]);
    expect(await storage.outbox.renew("a", LEASE_MS, NOW)).toBe(0);
    expect(await storage.outbox.settle("a", [], NOW)).toBe(0);
    expect(await storage.outbox.settle("a", [{ outboxId: 1, update: delivered }], NOW)).toBe(0);
    await storage.outbox.release("a", NOW);
  });

  test("a share is queued once, however often it is sent at once", async () => {
    const [one, other] = await open().pair();
    const alice = await createAccount(one, "alice@acme.test");
    const share = {
      accountId: alice,
      envelope: envelope(),
      recipientDomain: "partner.test",
      stampNonce: undefined,
      now: NOW,
      maxStoredBytes: MAX_BYTES,
      maxContacts: 100,
    };
    const results = await Promise.all(range(1, 10).map((i) => (i % 2 ? one : other).outbox.enqueue(share)));
    expect(results.filter(({ kind }) => kind === "queued")).toHaveLength(1);
    expect(results.filter(({ kind }) => kind === "unchanged")).toHaveLength(9);
    expect((await one.accounts.byId(alice))!.storedBytes).toBe(ENVELOPE_BYTES);
    expect(await lease(one, "a")).toHaveLength(1);
  });

  test("a share over the quota is not stored", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const share = {
      accountId: alice,
      recipientDomain: "partner.test",
      stampNonce: undefined,
      now: NOW,
      maxContacts: 100,
    };
    const first = envelope();
    const maxStoredBytes = 2 * ENVELOPE_BYTES - 1;
    expect((await storage.outbox.enqueue({ ...share, envelope: first, maxStoredBytes })).kind).toBe("queued");
    const second = envelope();
    expect(await storage.outbox.enqueue({ ...share, envelope: second, maxStoredBytes })).toEqual({
      kind: "over-quota",
    });
    expect(await storage.outbox.status(alice, second.shareId)).toBeUndefined();
    expect((await storage.outbox.enqueue({ ...share, envelope: first, maxStoredBytes: 0 })).kind).toBe(
      "unchanged",
    );
    await storage.outbox.delete(alice, first.shareId, NOW);
    expect((await storage.outbox.enqueue({ ...share, envelope: second, maxStoredBytes })).kind).toBe(
      "queued",
    );
  });

  test("sending accepts the recipient as a contact, but never unblocks", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    await storage.contacts.set(alice, "mallory@partner.test", "BLOCKED", { now: NOW, maxContacts: 100 });
    await enqueue(storage, alice);
    await enqueue(storage, alice, { envelope: envelope({ recipient: "mallory@partner.test" }) });
    expect(await storage.contacts.state(alice, "bob@partner.test")).toBe("ACCEPTED");
    expect(await storage.contacts.state(alice, "mallory@partner.test")).toBe("BLOCKED");
  });

  test("sending to one address more than an account may have as contacts stores nothing", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const send = (recipient: string) =>
      enqueue(storage, alice, { envelope: envelope({ recipient }), maxContacts: 1 });
    await send("bob@partner.test");
    await expect(send("carol@partner.test")).rejects.toThrow("too-many-contacts");
    expect(await storage.outbox.list(alice, { limit: 10 })).toHaveLength(1);
    expect((await storage.accounts.byId(alice))!.storedBytes).toBe(ENVELOPE_BYTES);
    await send("bob@partner.test");
  });

  test("a leased envelope is the one that was sent, stamp included", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = envelope({ ciphertext: bytes(100_000), expiresAt: NOW + 1 });
    await enqueue(storage, alice, { envelope: sent, stampNonce: 2n ** 64n - 1n });
    const [leased] = await lease(storage, "a");
    expect(leased).toEqual({
      outboxId: expect.any(Number),
      envelope: sent,
      stampNonce: 2n ** 64n - 1n,
      attempts: 0,
      message: "",
    });
    expect(await storage.outbox.status(alice, sent.shareId)).toEqual({
      state: "DELIVERING",
      rejectionReason: 0,
      message: "",
      attempts: 0,
      nextAttemptAt: 0,
      updatedAt: NOW,
    });
  });

  test("two workers never hold the same share", async () => {
    const [one, other] = await open().pair();
    const alice = await createAccount(one, "alice@acme.test");
    await Promise.all(range(1, 60).map(() => enqueue(one, alice)));
    const taken = await Promise.all(
      range(1, 12).map((i) => lease(i % 2 ? one : other, `token ${i}`, NOW, { limit: 5 })),
    );
    // On PostgreSQL a worker leaves out what another is about to take, and may come away with less.
    const rest: (typeof taken)[number][] = [];
    for (let i = 0; ; i++) {
      const more = await lease(one, `rest ${i}`);
      if (more.length === 0) break;
      rest.push(more);
    }
    const ids = [...taken, ...rest].flat().map(({ outboxId }) => outboxId);
    expect(ids).toHaveLength(60);
    expect(new Set(ids).size).toBe(60);
  });

  test("a lease takes the oldest first, and no more bytes than asked for but at least one", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = [];
    for (const i of range(1, 6)) sent.push(await enqueue(storage, alice, { now: NOW + i }));
    const ids = async (changes: object) =>
      (await lease(storage, `${Math.random()}`, NOW + 5, changes)).map((one) => one.envelope.shareId);
    expect(await ids({ maxBytes: 1 })).toEqual([sent[0]!.shareId]);
    expect(await ids({ maxBytes: 2 * ENVELOPE_BYTES })).toEqual([sent[1]!.shareId, sent[2]!.shareId]);
    expect(await ids({ limit: 1 })).toEqual([sent[3]!.shareId]);
    expect(await ids({ destination: "other.test" })).toEqual([]);
    // The sixth is not due yet.
    expect(await ids({})).toEqual([sent[4]!.shareId]);
  });

  test("a worker paused past its lease cannot settle, renew, or disturb the one that took over", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = await enqueue(storage, alice);
    const [paused] = await lease(storage, "paused");
    const late = NOW + LEASE_MS;
    const settle = (token: string, now: number, update: object = delivered) =>
      storage.outbox.settle(token, [{ outboxId: paused!.outboxId, update: update as typeof delivered }], now);
    expect(await lease(storage, "other", late - 1)).toEqual([]);
    expect(await storage.outbox.renew("paused", LEASE_MS, late)).toBe(0);
    expect(await settle("paused", late)).toBe(0);
    expect(await lease(storage, "other", late)).toHaveLength(1);
    expect(await settle("paused", late + 1, { kind: "rejected", reason: 2, message: "late" })).toBe(0);
    await storage.outbox.release("paused", late + 1);
    expect((await storage.outbox.status(alice, sent.shareId))!.state).toBe("DELIVERING");
    expect(await settle("other", late + 1)).toBe(1);
    expect(await settle("other", late + 1, { kind: "failed", message: "twice" })).toBe(0);
    expect(await storage.outbox.status(alice, sent.shareId)).toMatchObject({
      state: "DELIVERED",
      attempts: 1,
    });
  });

  test("a renewed lease holds on", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    await enqueue(storage, alice);
    await enqueue(storage, alice);
    await lease(storage, "a");
    expect(await storage.outbox.renew("a", LEASE_MS, NOW + LEASE_MS - 1)).toBe(2);
    expect(await lease(storage, "b", NOW + LEASE_MS)).toEqual([]);
    expect(await storage.outbox.nextDueAt()).toBe(NOW + 2 * LEASE_MS - 1);
  });

  test("without a time given, the database's clock counts", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    await enqueue(storage, alice, { now: Date.now() - 1_000 });
    const request = {
      destination: "partner.test",
      token: "a",
      leaseMs: LEASE_MS,
      limit: 10,
      maxBytes: MAX_BYTES,
    };
    const before = Date.now();
    const [leased] = await storage.outbox.lease(request);
    expect(Math.abs((await storage.outbox.nextDueAt())! - before - LEASE_MS)).toBeLessThan(LEASE_MS / 2);
    expect(await storage.outbox.renew("a", LEASE_MS)).toBe(1);
    expect(await storage.outbox.settle("a", [{ outboxId: leased!.outboxId, update: delivered }])).toBe(1);
  });

  test("each result is written as it is, in one batch", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = [];
    for (const i of range(1, 6)) sent.push(await enqueue(storage, alice, { now: NOW - 10 + i }));
    const leased = await lease(storage, "a");
    const updates = [
      delivered,
      { kind: "rejected", reason: 6, message: "stamp required\0" } as const,
      { kind: "failed", message: "expired" } as const,
      { kind: "retry", nextAttemptAt: NOW + 500, message: "peer is away" } as const,
      delivered,
    ];
    const results = updates.map((update, i) => ({ outboxId: leased[i]!.outboxId, update }));
    expect(await storage.outbox.settle("a", results, NOW + 1)).toBe(5);
    await storage.outbox.release("a", NOW + 2);
    const statuses = await Promise.all(sent.map(({ shareId }) => storage.outbox.status(alice, shareId)));
    const base = { rejectionReason: 0, message: "", attempts: 1, nextAttemptAt: 0, updatedAt: NOW + 1 };
    expect(statuses).toEqual([
      { ...base, state: "DELIVERED" },
      { ...base, state: "REJECTED", rejectionReason: 6, message: "stamp required" },
      { ...base, state: "FAILED", message: "expired" },
      { ...base, state: "QUEUED", message: "peer is away", nextAttemptAt: NOW + 500 },
      { ...base, state: "DELIVERED" },
      { ...base, state: "QUEUED", attempts: 0, nextAttemptAt: NOW + 2, updatedAt: NOW + 2 },
    ]);
    expect(await storage.outbox.nextDueAt()).toBe(NOW + 2);
    expect(await lease(storage, "b", NOW + 499)).toHaveLength(1);
    expect((await lease(storage, "c", NOW + 500)).map(({ attempts }) => attempts)).toEqual([1]);
  });

  test("a sender with few shares is not kept waiting by one with many", async () => {
    const storage = await open().fresh();
    const [alice, bob, carol] = await Promise.all(
      ["alice@acme.test", "bob@acme.test", "carol@acme.test"].map((address) =>
        createAccount(storage, address),
      ),
    );
    for (const _ of range(1, 30)) await enqueue(storage, alice!, { now: NOW - 9 });
    const late = [await enqueue(storage, bob!), await enqueue(storage, carol!)];
    const leased = await lease(storage, "a", NOW, { limit: 8 });
    expect(leased).toHaveLength(8);
    const ids = leased.map(({ envelope: { shareId } }) => toHex(shareId));
    expect(ids).toEqual(expect.arrayContaining(late.map(({ shareId }) => toHex(shareId))));
    expect(new Set(ids).size).toBe(8);
    expect(await lease(storage, "b", NOW, { limit: 256 })).toHaveLength(24);
  });

  test("senders have turns, however many there are and whatever they wait for", async () => {
    const storage = await open().fresh();
    const senders: number[] = [];
    for (const i of range(1, 6)) {
      const sender = await createAccount(storage, `sender-${i}@acme.test`);
      senders.push(sender);
      // Most have nothing that is due.
      if (i % 3 !== 0) await enqueue(storage, sender, { now: NOW + 60_000 });
    }
    const busy = senders[0]!;
    for (const _ of range(1, 40)) await enqueue(storage, busy, { now: NOW - 9 });
    const rare = [await enqueue(storage, senders[2]!), await enqueue(storage, senders[5]!)];
    const taken: string[] = [];
    for (const turn of range(1, 6)) {
      const leased = await lease(storage, `turn ${turn}`, NOW, { limit: 4 });
      expect(leased).toHaveLength(4);
      taken.push(...leased.map(({ envelope: { shareId } }) => toHex(shareId)));
    }
    expect(taken).toEqual(expect.arrayContaining(rare.map(({ shareId }) => toHex(shareId))));
  });

  test("several batches are taken, renewed, settled and released under one token", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    for (const _ of range(1, 9)) await enqueue(storage, alice);
    const batches = [];
    for (const _ of range(1, 3)) batches.push(await lease(storage, "a", NOW, { limit: 2 }));
    expect(new Set(batches.flat().map(({ outboxId }) => outboxId)).size).toBe(6);
    expect(await storage.outbox.renew("a", LEASE_MS, NOW + 1)).toBe(6);
    const settled = [...batches[0]!, ...batches[2]!].map(({ outboxId }) => ({ outboxId, update: delivered }));
    expect(await storage.outbox.settle("a", settled, NOW + 2)).toBe(4);
    await storage.outbox.release("a", NOW + 3);
    expect(await lease(storage, "b", NOW + 3)).toHaveLength(5);
  });

  test("what ran out under a token is not taken under it again, and not settled under it", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = await enqueue(storage, alice);
    const [held] = await lease(storage, "a");
    expect(await lease(storage, "a", NOW + LEASE_MS)).toEqual([]);
    const results = [{ outboxId: held!.outboxId, update: delivered }];
    expect(await storage.outbox.settle("a", results, NOW + LEASE_MS)).toBe(0);
    expect(await storage.outbox.renew("a", LEASE_MS, NOW + LEASE_MS)).toBe(0);
    expect((await storage.outbox.status(alice, sent.shareId))!.state).toBe("DELIVERING");
    expect(await lease(storage, "b", NOW + LEASE_MS)).toHaveLength(1);
    expect(await storage.outbox.settle("a", results, NOW + LEASE_MS + 1)).toBe(0);
  });

  test("what came of the last attempt is told to the next one", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    await enqueue(storage, alice);
    const [first] = await lease(storage, "a");
    expect(first!.message).toBe("");
    const update = { kind: "retry", nextAttemptAt: NOW, message: "not reached" } as const;
    await storage.outbox.settle("a", [{ outboxId: first!.outboxId, update }], NOW);
    expect((await lease(storage, "b"))[0]!.message).toBe("not reached");
  });

  test("a rejected share is queued again by another stamp only", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = await enqueue(storage, alice, { stampNonce: 1n });
    const again = async (stampNonce: bigint | undefined) =>
      storage.outbox.enqueue({
        accountId: alice,
        envelope: sent,
        recipientDomain: "partner.test",
        stampNonce,
        now: NOW + 9,
        maxStoredBytes: 0,
        maxContacts: 100,
      });
    expect((await again(2n)).kind).toBe("unchanged");
    const settle = async (token: string, update: object) => {
      const [leased] = await lease(storage, token, NOW + 9);
      return storage.outbox.settle(
        token,
        [{ outboxId: leased!.outboxId, update: update as typeof delivered }],
        NOW + 9,
      );
    };
    expect(await settle("a", { kind: "rejected", reason: 6, message: "stamp required" })).toBe(1);
    expect((await again(1n)).kind).toBe("unchanged");
    expect((await again(undefined)).kind).toBe("unchanged");
    expect(await again(2n)).toEqual({
      kind: "queued",
      delivery: {
        state: "QUEUED",
        rejectionReason: 0,
        message: "",
        attempts: 0,
        nextAttemptAt: NOW + 9,
        updatedAt: NOW + 9,
      },
    });
    expect(await settle("b", { kind: "failed", message: "no" })).toBe(1);
    expect((await again(3n)).kind).toBe("unchanged");
    expect((await storage.accounts.byId(alice))!.storedBytes).toBe(ENVELOPE_BYTES);
  });

  test("deleting cancels what is queued; what is under way goes on unseen and then gives its bytes back", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const underWay = await enqueue(storage, alice, { now: NOW - 1 });
    const [leased] = await lease(storage, "a", NOW - 1);
    const queued = await enqueue(storage, alice);
    expect(await storage.outbox.delete(alice, bytes(), NOW)).toEqual({ existed: false, cancelled: false });
    expect(await storage.outbox.delete(alice, queued.shareId, NOW)).toEqual({
      existed: true,
      cancelled: true,
    });
    expect(await storage.outbox.delete(alice, underWay.shareId, NOW)).toEqual({
      existed: true,
      cancelled: false,
    });
    expect(await storage.outbox.delete(alice, underWay.shareId, NOW)).toEqual({
      existed: false,
      cancelled: false,
    });
    expect(await storage.outbox.list(alice, { limit: 10 })).toEqual([]);
    expect(await storage.outbox.get(alice, underWay.shareId)).toBeUndefined();
    expect(await storage.outbox.status(alice, underWay.shareId)).toBeUndefined();
    expect((await storage.accounts.byId(alice))!.storedBytes).toBe(ENVELOPE_BYTES);
    const update = { kind: "retry", nextAttemptAt: NOW, message: "" } as const;
    expect(await storage.outbox.settle("a", [{ outboxId: leased!.outboxId, update }], NOW)).toBe(1);
    const [again] = await lease(storage, "b");
    expect(again!.envelope).toEqual(underWay);
    expect(await storage.outbox.settle("b", [{ outboxId: again!.outboxId, update: delivered }], NOW)).toBe(1);
    expect((await storage.accounts.byId(alice))!.storedBytes).toBe(0);
    expect(await storage.outbox.nextDueAt()).toBeUndefined();
  });

  test("only what is queued can be tried sooner or cancelled, and only by its sender", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const bob = await createAccount(storage, "bob@acme.test");
    const later = { kind: "retry", nextAttemptAt: NOW + 60_000, message: "not reached" } as const;
    const waiting = await enqueue(storage, alice, { now: NOW - 1 });
    const [attempted] = await lease(storage, "a", NOW - 1);
    const { retry, cancel } = storage.outbox;
    expect(await cancel(alice, waiting.shareId, NOW)).toMatchObject({ state: "DELIVERING" });
    expect(await retry(alice, waiting.shareId, NOW)).toMatchObject({ delivery: { state: "DELIVERING" } });
    expect(await cancel(bob, waiting.shareId, NOW)).toBeUndefined();
    expect(await retry(alice, bytes(), NOW)).toBeUndefined();
    await storage.outbox.settle("a", [{ outboxId: attempted!.outboxId, update: later }], NOW);
    expect(await lease(storage, "b")).toEqual([]);

    expect(await retry(alice, waiting.shareId, NOW)).toMatchObject({
      delivery: { state: "QUEUED", attempts: 1, message: "not reached", nextAttemptAt: NOW },
      destination: "partner.test",
    });
    expect(await storage.outbox.nextDueAt()).toBe(NOW);
    const cancelled = await cancel(alice, waiting.shareId, NOW);
    expect(cancelled).toMatchObject({ state: "CANCELLED", nextAttemptAt: 0, message: "not reached" });
    expect(await cancel(alice, waiting.shareId, NOW + 1)).toEqual(cancelled);
    expect((await retry(alice, waiting.shareId, NOW + 1))?.delivery).toEqual(cancelled);
    expect(await storage.outbox.nextDueAt()).toBeUndefined();
    expect(await lease(storage, "c")).toEqual([]);
    expect(await storage.outbox.status(alice, waiting.shareId)).toEqual(cancelled);
    expect((await storage.accounts.byId(alice))!.storedBytes).toBe(ENVELOPE_BYTES);
  });

  test("what is not delivered yet is listed by itself, whatever stands between", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent: Uint8Array[] = [];
    for (const _ of range(1, 9)) sent.push((await enqueue(storage, alice)).shareId);
    for (const index of [0, 3, 4, 8]) await storage.outbox.cancel(alice, sent[index]!, NOW);
    const list = async (before?: number) =>
      storage.outbox.list(alice, { limit: 3, undelivered: true, ...(before && { before }) });
    const first = await list();
    expect(first.map(({ shareId }) => shareId)).toEqual([sent[7], sent[6], sent[5]]);
    const second = await list(first.at(-1)!.position);
    expect(second.map(({ shareId }) => shareId)).toEqual([sent[2], sent[1]]);
  });

  test("a copy deleted under way and sent again is seen again", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const sent = await enqueue(storage, alice);
    await lease(storage, "a");
    await storage.outbox.delete(alice, sent.shareId, NOW);
    await expect(enqueue(storage, alice, { envelope: sent })).rejects.toThrow("unchanged");
    expect(await storage.outbox.list(alice, { limit: 10 })).toHaveLength(1);
  });

  test("pages of sent shares, newest first, neither repeat nor miss one while others are sent", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const bob = await createAccount(storage, "bob@acme.test");
    for (const _ of range(1, 7)) await Promise.all([enqueue(storage, alice), enqueue(storage, bob)]);
    const positions: number[] = [];
    for (let before: number | undefined; ; ) {
      const page = await storage.outbox.list(alice, {
        limit: 3,
        ...(before === undefined ? {} : { before }),
      });
      if (page.length === 0) break;
      positions.push(...page.map(({ position }) => position));
      before = positions.at(-1);
      await enqueue(storage, alice);
    }
    expect(positions).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  test("a sent share comes back with the sender's own key set, for its sender alone", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const alice = (await storage.accounts.byAddress("alice@acme.test"))!.id;
    const bob = await createAccount(storage, "bob@acme.test");
    const sent = await enqueue(storage, alice);
    const found = await storage.outbox.get(alice, sent.shareId);
    expect(found!.envelope).toEqual(sent);
    expect(found!.senderKeySet).toEqual({
      hash: made.keySet.hash,
      body: made.keySet.body,
      selfSignature: made.keySet.selfSignature,
      continuitySignature: made.keySet.continuitySignature,
    });
    expect(found!.share).toMatchObject({
      shareId: sent.shareId,
      position: 1,
      ciphertextBytes: 512,
      sentAt: NOW,
    });
    expect(await storage.outbox.get(bob, sent.shareId)).toBeUndefined();
    expect(await storage.outbox.delete(bob, sent.shareId, NOW)).toEqual({ existed: false, cancelled: false });
  });

  test("destinations with something due are named once, the longest due first", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const send = (recipientDomain: string, now: number) => enqueue(storage, alice, { recipientDomain, now });
    await send("b.test", NOW - 5);
    await send("b.test", NOW - 9);
    await send("a.test", NOW - 7);
    await send("z.test", NOW - 20);
    await send("later.test", NOW + 1);
    expect(await storage.outbox.dueDestinations("UNTRIED", NOW, 10)).toEqual(["z.test", "b.test", "a.test"]);
    expect(await storage.outbox.dueDestinations("UNTRIED", NOW, 2)).toEqual(["z.test", "b.test"]);
    await lease(storage, "a", NOW, { destination: "z.test" });
    expect(await storage.outbox.dueDestinations("UNTRIED", NOW, 10)).toEqual(["b.test", "a.test"]);
    expect(await storage.outbox.dueDestinations("UNTRIED", NOW + LEASE_MS, 10)).toContain("z.test");
    expect(await storage.outbox.nextDueAt()).toBe(NOW - 9);
  });

  test("a destination is listed by how it behaved the last time, and forgotten when it never answered", async () => {
    const storage = await open().fresh();
    const alice = await createAccount(storage, "alice@acme.test");
    const listed = (now: number) =>
      Promise.all(
        (["ANSWERED", "UNTRIED", "FAILING"] as const).map(async (standing) => [
          ...(await storage.outbox.dueDestinations(standing, now, 10)),
        ]),
      );
    const settle = async (token: string, now: number, update: DeliveryUpdate) => {
      const leased = await lease(storage, token, now);
      const results = leased.map(({ outboxId }) => ({ outboxId, update }));
      expect(await storage.outbox.settle(token, results, now)).toBe(1);
    };
    const retry = (nextAttemptAt: number) => ({ kind: "retry", nextAttemptAt, message: "away" }) as const;
    await enqueue(storage, alice);
    expect(await listed(NOW)).toEqual([[], ["partner.test"], []]);
    await settle("a", NOW, retry(NOW + 5));
    expect(await listed(NOW + 4)).toEqual([[], [], []]);
    expect(await listed(NOW + 5)).toEqual([[], [], ["partner.test"]]);
    await settle("b", NOW + 5, { kind: "failed", message: "too late" });
    expect(await storage.outbox.nextDueAt()).toBeUndefined();
    await enqueue(storage, alice, { now: NOW + 6 });
    expect(await listed(NOW + 6)).toEqual([[], ["partner.test"], []]);
    await settle("c", NOW + 6, { kind: "rejected", reason: 2, message: "no" });
    await enqueue(storage, alice, { now: NOW + 7 });
    expect(await listed(NOW + 7)).toEqual([["partner.test"], [], []]);
    await settle("d", NOW + 7, { kind: "failed", message: "too late" });
    // It answered before, which is remembered for a week without anything to send.
    await storage.received.deleteExpired(NOW + 7 + 7 * DAY - 1, 100);
    await enqueue(storage, alice, { now: NOW + 8 });
    expect(await listed(NOW + 8)).toEqual([["partner.test"], [], []]);
    await settle("e", NOW + 8, delivered);
    await storage.received.deleteExpired(NOW + 8 + 7 * DAY, 100);
    await enqueue(storage, alice, { now: NOW + 9 });
    expect(await listed(NOW + 9)).toEqual([[], ["partner.test"], []]);
  });

  test("what is queued while others are leased, settled and cancelled is never overlooked", async () => {
    const [one, other] = await open().pair();
    const alice = await createAccount(one, "alice@acme.test");
    for (const round of range(1, 10)) {
      const [first] = await Promise.all([enqueue(one, alice), enqueue(other, alice)]);
      const work = async () => {
        const leased = await lease(other, `work ${round}`);
        const results = leased.map(({ outboxId }) => ({ outboxId, update: delivered }));
        await other.outbox.settle(`work ${round}`, results, NOW);
      };
      await Promise.all([work(), enqueue(one, alice), one.outbox.delete(alice, first.shareId, NOW)]);
      const due = async () => [
        ...(await one.outbox.dueDestinations("UNTRIED", NOW, 10)),
        ...(await one.outbox.dueDestinations("ANSWERED", NOW, 10)),
      ];
      for (let i = 0; (await due()).length > 0; i++) {
        expect(i).toBeLessThan(10);
        const token = `rest ${round} ${i}`;
        const leased = await lease(one, token);
        const results = leased.map(({ outboxId }) => ({ outboxId, update: delivered }));
        await one.outbox.settle(token, results, NOW);
      }
      expect(await lease(one, `none ${round}`)).toEqual([]);
      expect(await one.outbox.nextDueAt()).toBeUndefined();
    }
  });

  test("a cancellation and a lease at the same moment never both win", async () => {
    const [one, other] = await open().pair();
    const alice = await createAccount(one, "alice@acme.test");
    for (const round of range(1, 15)) {
      const sent = await enqueue(one, alice);
      const [deleted, leased] = await Promise.all([
        one.outbox.delete(alice, sent.shareId, NOW),
        lease(other, `token ${round}`),
      ]);
      const taken = leased.length > 0 ? leased : await lease(other, `late ${round}`);
      expect(taken.length).toBe(deleted.cancelled ? 0 : 1);
    }
  });
}
