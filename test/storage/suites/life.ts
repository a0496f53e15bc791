import { expect, test } from "vitest";
import { openStorage } from "../../../src/storage/open.ts";
import { acceptMany, type Backend, createAccount, enqueue, NOW, range } from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

export function lifeTests(open: OpenStorages, backend: () => Backend): void {
  test("migrating again, also many at once, changes nothing", async () => {
    const [one, other] = await open().pair();
    const bob = await createAccount(one, "bob@partner.test");
    await Promise.all([one.migrate(), other.migrate(), one.migrate()]);
    expect(await other.accounts.byId(bob)).toBeDefined();
  });

  test("several who open an empty database at once all find it ready", async () => {
    if (!backend().shareable) return;
    const url = await backend().createUrl();
    const storages = await Promise.all(range(1, 4).map(() => open().at(url)));
    await Promise.all(storages.map((storage, i) => createAccount(storage, `user${i}@partner.test`)));
    for (const i of range(0, 3))
      expect(await storages[0]!.accounts.byAddress(`user${i}@partner.test`)).toBeDefined();
  });

  test("what was acknowledged is there after closing and opening again", async () => {
    if (!backend().shareable) return;
    const url = await backend().createUrl();
    const first = await openStorage({ url });
    const bob = await createAccount(first, "bob@partner.test");
    const [share] = await acceptMany(first, bob, 3);
    const sent = await enqueue(first, bob);
    const secret = await first.secrets.clusterSecret();
    await first.close();
    const second = await open().at(url);
    expect(await second.received.list(bob, { limit: 10, now: NOW })).toHaveLength(3);
    expect((await second.received.get(bob, share!.envelope.shareId, NOW))!.envelope).toEqual(share!.envelope);
    expect((await second.outbox.status(bob, sent.shareId))!.state).toBe("QUEUED");
    expect(await second.secrets.clusterSecret()).toEqual(secret);
    expect((await acceptMany(second, bob, 1)).length).toBe(1);
    expect((await second.received.after(bob, { after: 3, limit: 5, now: NOW }))[0]!.sequence).toBe(4);
  });

  test("closing waits for writes under way, and what comes later is refused", async () => {
    const storage = await open().fresh();
    const writes = range(1, 5).map((i) => createAccount(storage, `user${i}@partner.test`));
    const closed = storage.close();
    expect((await Promise.all(writes)).length).toBe(5);
    await closed;
    await storage.close();
    await expect(createAccount(storage, "late@partner.test")).rejects.toMatchObject({
      name: "StorageError",
      reason: "DATABASE_UNAVAILABLE",
    });
    await expect(storage.accounts.byId(1)).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
  });

  test("a write that fails leaves those beside it alone", async () => {
    const storage = await open().fresh();
    const results = await Promise.allSettled([
      createAccount(storage, "one@partner.test"),
      createAccount(storage, "two@partner.test", { createdAt: null as unknown as number }),
      createAccount(storage, "three@partner.test"),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    const failure = (results[1] as PromiseRejectedResult).reason;
    expect(failure).toMatchObject({ reason: "DATABASE_FAILED", retryable: false });
    // Neither SQL nor values nor names reach whoever prints it.
    expect(JSON.stringify([failure.message, failure.cause, Object.values(failure)])).not.toMatch(
      /accounts|two@|insert/i,
    );
    expect(await storage.accounts.byAddress("two@partner.test")).toBeUndefined();
    expect(await storage.accounts.byAddress("three@partner.test")).toBeDefined();
  });
}
