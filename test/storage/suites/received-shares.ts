import { expect, test } from "vitest";
import type { Storage } from "../../../src/storage/open.ts";
import type { Acceptance } from "../../../src/storage/stores.ts";
import {
  acceptance,
  acceptMany,
  bytes,
  createAccount,
  DAY,
  ENVELOPE_BYTES,
  envelope,
  keySet,
  NOW,
  notice,
  range,
  request,
  sealedKeys,
  senderKeySet,
} from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

/** Whether an envelope for bob@partner.test is kept or remembered. */
async function isKnown(storage: Storage, { envelope: { shareId, sender, recipient } }: Acceptance) {
  const question = { recipient, recipientKeyNumber: 1, sender, shareId };
  const [facts] = await storage.received.deliveryFacts([question]);
  return facts?.isKnown;
}

export function receivedShareTests(open: OpenStorages): void {
  test("the same envelope accepted fifty times at once is there once", async () => {
    const [one, other] = await open().pair();
    const bob = await createAccount(one, "bob@partner.test");
    const same = acceptance(bob, { firstContact: true });
    const results = (
      await Promise.all(range(1, 50).map((i) => (i % 2 ? one : other).received.accept([same])))
    ).flat();
    expect(results.filter(({ kind }) => kind === "accepted")).toEqual([{ kind: "accepted", sequence: 1 }]);
    expect(results.filter(({ kind }) => kind === "duplicate")).toHaveLength(49);
    expect(await one.received.list(bob, { limit: 10, now: NOW })).toHaveLength(1);
    expect((await one.accounts.byId(bob))!.storedBytes).toBe(ENVELOPE_BYTES);
    expect(await one.contacts.firstContacts(bob, "acme.test", NOW)).toBe(1);
  });

  test("an empty batch is nothing", async () => {
    const storage = await open().fresh();
    expect(await storage.received.accept([])).toEqual([]);
  });

  test("in one batch a bad envelope does not spoil the others", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const carol = await createAccount(storage, "carol@partner.test");
    const gone = await createAccount(storage, "gone@partner.test");
    await storage.accounts.delete(gone, NOW);
    const twice = acceptance(bob);
    const results = await storage.received.accept([
      twice,
      acceptance(gone),
      twice,
      acceptance(carol, { maxStoredBytes: ENVELOPE_BYTES - 1 }),
      acceptance(carol, { envelope: twice.envelope }),
      acceptance(bob, { firstContact: true, maxFirstContacts: 0 }),
      acceptance(999_999),
      acceptance(bob),
    ]);
    expect(results).toEqual([
      { kind: "accepted", sequence: 1 },
      { kind: "recipient-gone" },
      { kind: "duplicate" },
      { kind: "over-quota" },
      { kind: "accepted", sequence: 1 },
      { kind: "too-many-first-contacts" },
      { kind: "recipient-gone" },
      { kind: "accepted", sequence: 2 },
    ]);
  });

  test("sequences have no gap, whatever is refused in between, and batches in opposite order do not block", async () => {
    const [one, other] = await open().pair();
    const ids = [
      await createAccount(one, "bob@partner.test"),
      await createAccount(one, "carol@partner.test"),
    ];
    const keys = [senderKeySet(), senderKeySet(), senderKeySet()];
    const batches = range(1, 20).map((i) => {
      const batch = range(1, 6).map((k) =>
        acceptance(ids[k % 2]!, {
          senderKeySet: keys[(i + k) % 3]!,
          ...(k === 3 ? { maxStoredBytes: 0 } : {}),
        }),
      );
      return (i % 2 ? one : other).received.accept(i % 3 ? batch : batch.reverse());
    });
    await Promise.all(batches);
    for (const [index, expected] of [60, 40].entries()) {
      const shares = await one.received.after(ids[index]!, { after: 0, limit: 1_000, now: NOW });
      expect(shares.map(({ sequence }) => sequence)).toEqual(range(1, expected));
    }
  });

  test("a follower that asks while others write never misses a sequence", async () => {
    const [writer, reader] = await open().pair();
    const bob = await createAccount(writer, "bob@partner.test");
    const seen: number[] = [];
    let writing = true;
    const follow = async () => {
      for (;;) {
        const last = !writing;
        const page = await reader.received.after(bob, { after: seen.at(-1) ?? 0, limit: 7, now: NOW });
        seen.push(...page.map(({ sequence }) => sequence));
        if (page.length > 0) continue;
        if (last) return;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const following = follow();
    await Promise.all(
      range(1, 40).map((i) =>
        (i % 2 ? writer : reader).received.accept(range(1, 3).map(() => acceptance(bob))),
      ),
    );
    writing = false;
    await following;
    expect(seen).toEqual(range(1, 120));
  });

  test("a replay after deletion, or after expiry, is a duplicate until its tombstone goes", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const deleted = acceptance(bob);
    const expiring = acceptance(bob, { envelope: envelope({ expiresAt: NOW + 10 }) });
    await storage.received.accept([deleted, expiring]);
    expect(await storage.received.delete(bob, deleted.envelope.shareId)).toBe(true);
    expect(await storage.received.delete(bob, deleted.envelope.shareId)).toBe(false);
    expect(await storage.received.deleteExpired(NOW + 10, 100)).toBe(1);
    expect(await storage.received.accept([deleted, expiring])).toEqual([
      { kind: "duplicate" },
      { kind: "duplicate" },
    ]);
    expect(await isKnown(storage, deleted)).toBe(true);
    expect(await storage.received.deleteExpired(NOW + 7 * DAY, 100)).toBe(2);
    expect(await isKnown(storage, deleted)).toBe(false);
  });

  test("a share that outlives its tombstone is a duplicate still", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const [kept] = await acceptMany(storage, bob, 1);
    await storage.received.deleteExpired(NOW + 7 * DAY, 100);
    expect(await isKnown(storage, kept!)).toBe(true);
    expect(await storage.received.accept([kept!])).toEqual([{ kind: "duplicate" }]);
  });

  test("the facts about many envelopes come in their order, with nothing about who does not exist", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const carol = await createAccount(storage, 'o"brien@partner.test');
    const gone = await createAccount(storage, "gone@partner.test");
    await storage.accounts.delete(gone, NOW);
    await publish(storage, bob, 2, { revokesPrevious: true });
    await storage.contacts.set(bob, "blocked@acme.test", "BLOCKED", { now: NOW, maxContacts: 9 });
    await storage.contacts.set(carol, "alice@acme.test", "ACCEPTED", { now: NOW, maxContacts: 9 });
    const [accepted] = await acceptMany(storage, bob, 1);
    const ask = (
      recipient: string,
      recipientKeyNumber = 1,
      sender = "alice@acme.test",
      shareId = bytes(),
    ) => ({
      recipient,
      recipientKeyNumber,
      sender,
      shareId,
    });
    const known = accepted!.envelope.shareId;

    const facts = await storage.received.deliveryFacts([
      ask("nobody@partner.test"),
      ask("bob@partner.test", 2, "alice@acme.test", known),
      ask("gone@partner.test"),
      ask('o"brien@partner.test', 1, "alice@acme.test", known),
      ask("bob@partner.test", 1, "blocked@acme.test"),
      ask("bob@partner.test", 3),
      ask("bob@partner.test", 2, "alice@acme.test", known),
    ]);

    const active = { supersededAt: 0, revoked: false };
    const first = { accountId: bob, isKnown: true, sealedTo: active, contact: "NONE", suspended: false };
    expect(facts).toEqual([
      undefined,
      first,
      undefined,
      { accountId: carol, isKnown: false, sealedTo: active, contact: "ACCEPTED", suspended: false },
      {
        accountId: bob,
        isKnown: false,
        sealedTo: { supersededAt: NOW + 1, revoked: true },
        contact: "BLOCKED",
        suspended: false,
      },
      { accountId: bob, isKnown: false, sealedTo: undefined, contact: "NONE", suspended: false },
      first,
    ]);
    expect(await storage.received.deliveryFacts([])).toEqual([]);
  });

  test("a refused envelope is not remembered", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const refused = acceptance(bob, { maxStoredBytes: 10 });
    expect(await storage.received.accept([refused])).toEqual([{ kind: "over-quota" }]);
    expect(await isKnown(storage, refused)).toBe(false);
    expect(await storage.received.accept([{ ...refused, maxStoredBytes: 1e6 }])).toEqual([
      { kind: "accepted", sequence: 1 },
    ]);
  });

  test("the quota counts what is stored, and deletion and expiry give it back", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const maxStoredBytes = 2 * ENVELOPE_BYTES;
    const one = acceptance(bob, { maxStoredBytes });
    const two = acceptance(bob, { maxStoredBytes, envelope: envelope({ expiresAt: NOW + 10 }) });
    const three = acceptance(bob, { maxStoredBytes });
    const kinds = async () => (await storage.received.accept([three])).map(({ kind }) => kind);
    await storage.received.accept([one, two]);
    expect(await kinds()).toEqual(["over-quota"]);
    await storage.received.delete(bob, one.envelope.shareId);
    expect(await kinds()).toEqual(["accepted"]);
    await storage.received.deleteExpired(NOW + 10, 10);
    expect((await storage.accounts.byId(bob))!.storedBytes).toBe(ENVELOPE_BYTES);
  });

  test("two deletions of one share give its bytes back once", async () => {
    const [one, other] = await open().pair();
    const bob = await createAccount(one, "bob@partner.test");
    const [share] = await acceptMany(one, bob, 2);
    const deleted = await Promise.all(
      range(1, 6).map((i) => (i % 2 ? one : other).received.delete(bob, share!.envelope.shareId)),
    );
    expect(deleted.filter(Boolean)).toHaveLength(1);
    expect((await one.accounts.byId(bob))!.storedBytes).toBe(ENVELOPE_BYTES);
  });

  test("first contacts are limited per recipient and sender domain within a day", async () => {
    const [one, other] = await open().pair();
    const bob = await createAccount(one, "bob@partner.test");
    const stranger = (changes = {}) =>
      acceptance(bob, { firstContact: true, maxFirstContacts: 3, ...changes });
    const results = (
      await Promise.all(range(1, 10).map((i) => (i % 2 ? one : other).received.accept([stranger()])))
    ).flat();
    expect(results.filter(({ kind }) => kind === "accepted")).toHaveLength(3);
    expect(results.filter(({ kind }) => kind === "too-many-first-contacts")).toHaveLength(7);
    expect(await one.contacts.firstContacts(bob, "acme.test", NOW)).toBe(3);
    const kind = async (changes: object) => (await one.received.accept([stranger(changes)]))[0]!.kind;
    expect(await kind({ senderDomain: "other.test" })).toBe("accepted");
    expect(await kind({ firstContact: false })).toBe("accepted");
    expect(await kind({ now: NOW + DAY - 1 })).toBe("too-many-first-contacts");
    expect(await kind({ now: NOW + DAY })).toBe("accepted");
    expect(await one.contacts.firstContacts(bob, "acme.test", NOW + DAY)).toBe(1);
    // Those of yesterday are swept: three of acme.test and one of other.test.
    expect(await one.received.deleteExpired(NOW + DAY, 100)).toBe(4);
  });

  test("pages of an inbox, newest first, neither repeat nor miss a share while others arrive", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const made = await acceptMany(storage, bob, 10);
    await storage.received.delete(bob, made[4]!.envelope.shareId);
    const sequences: number[] = [];
    for (let before: number | undefined; ; ) {
      const page = await storage.received.list(bob, {
        limit: 3,
        now: NOW,
        ...(before === undefined ? {} : { before }),
      });
      if (page.length === 0) break;
      sequences.push(...page.map(({ sequence }) => sequence));
      before = sequences.at(-1);
      await acceptMany(storage, bob, 2);
    }
    expect(sequences).toEqual([10, 9, 8, 7, 6, 4, 3, 2, 1]);
  });

  test("expired shares are neither listed, nor followed, nor opened, swept or not", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const expiring = acceptance(bob, { envelope: envelope({ expiresAt: NOW + 10 }) });
    await storage.received.accept([expiring]);
    const { shareId } = expiring.envelope;
    expect(await storage.received.list(bob, { limit: 5, now: NOW + 9 })).toHaveLength(1);
    expect(await storage.received.list(bob, { limit: 5, now: NOW + 10 })).toEqual([]);
    expect(await storage.received.after(bob, { after: 0, limit: 5, now: NOW + 10 })).toEqual([]);
    expect(await storage.received.get(bob, shareId, NOW + 10)).toBeUndefined();
    expect(await storage.received.markOpened(bob, shareId, NOW + 10)).toBeUndefined();
  });

  test("a share comes back as it was accepted, for its recipient alone", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const mallory = await createAccount(storage, "mallory@partner.test");
    const one = acceptance(bob, { envelope: envelope({ ciphertext: bytes(200_000), expiresAt: NOW + DAY }) });
    await storage.received.accept([one]);
    const share = {
      shareId: one.envelope.shareId,
      sequence: 1,
      sender: "alice@acme.test",
      recipient: "bob@partner.test",
      senderKeyNumber: 1,
      senderKeySetHash: one.senderKeySet.hash,
      createdAt: NOW,
      expiresAt: NOW + DAY,
      ciphertextBytes: 200_000,
      receivedAt: NOW,
      openedAt: 0,
    };
    expect(await storage.received.list(bob, { limit: 5, now: NOW })).toEqual([share]);
    expect(await storage.received.get(bob, one.envelope.shareId, NOW)).toEqual({
      share,
      envelope: one.envelope,
      senderKeySet: one.senderKeySet,
    });
    expect(await storage.received.get(mallory, one.envelope.shareId, NOW)).toBeUndefined();
    expect(await storage.received.markOpened(mallory, one.envelope.shareId, NOW)).toBeUndefined();
    expect(await storage.received.delete(mallory, one.envelope.shareId)).toBe(false);
    expect(await storage.received.markOpened(bob, one.envelope.shareId, NOW + 5)).toBe(NOW + 5);
    expect(await storage.received.markOpened(bob, one.envelope.shareId, NOW + 9)).toBe(NOW + 5);
  });

  test("a sender's key set stays as long as a share of it does, however many delete and accept at once", async () => {
    const [one, other] = await open().pair();
    const bob = await createAccount(one, "bob@partner.test");
    const carol = await createAccount(one, "carol@partner.test");
    const shared = senderKeySet();
    const mine = range(1, 10).map(() => acceptance(bob, { senderKeySet: shared }));
    await one.received.accept(mine);
    const theirs = range(1, 10).map(() => acceptance(carol, { senderKeySet: shared }));
    await Promise.all([
      ...mine.map(({ envelope: { shareId } }) => one.received.delete(bob, shareId)),
      ...theirs.map((each) => other.received.accept([each])),
    ]);
    for (const { envelope: sent } of theirs) {
      expect((await one.received.get(carol, sent.shareId, NOW))?.senderKeySet).toEqual(shared);
    }
    expect(await one.received.list(bob, { limit: 5, now: NOW })).toEqual([]);
  });

  test("a sweep takes a bounded number of rows and ends with nothing to do", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    await storage.received.accept(
      range(1, 25).map((i) =>
        acceptance(bob, { envelope: envelope({ expiresAt: NOW + i }), tombstoneUntil: NOW + DAY }),
      ),
    );
    expect(await storage.received.deleteExpired(NOW + 20, 8)).toBe(8);
    expect(await storage.received.deleteExpired(NOW + 20, 100)).toBe(12);
    expect(await storage.received.deleteExpired(NOW + 20, 100)).toBe(0);
    expect(await storage.received.list(bob, { limit: 100, now: NOW + 20 })).toHaveLength(5);
  });

  test("a thousand shares fit one batch", async () => {
    const storage = await open().fresh();
    const bob = await createAccount(storage, "bob@partner.test");
    const keys = senderKeySet();
    const batch = range(1, 1_000).map(() =>
      acceptance(bob, { senderKeySet: keys, firstContact: true, maxFirstContacts: 900 }),
    );
    const results = await storage.received.accept(batch);
    expect(results.filter(({ kind }) => kind === "accepted")).toHaveLength(900);
    expect(await isKnown(storage, batch[899]!)).toBe(true);
  });
}

/** Publishes the next key set of an account. */
async function publish(
  storage: Storage,
  accountId: number,
  number: number,
  { revokesPrevious }: { readonly revokesPrevious: boolean },
): Promise<void> {
  const published = await storage.keySets.publish({
    accountId,
    expectedActiveNumber: number - 1,
    keySet: keySet(number, NOW + 1, revokesPrevious),
    sealedKeys: sealedKeys(number),
    now: NOW,
    notice: notice(),
    request: request(),
  });
  expect(published.kind).toBe("published");
}
