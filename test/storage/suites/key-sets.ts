import { expect, test } from "vitest";
import { account, createAccount, DAY, keySet, NOW, notice, range, request, sealedKeys } from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

export function keySetTests(open: OpenStorages): void {
  const publication = (accountId: number, number: number, changes = {}) => ({
    accountId,
    expectedActiveNumber: number - 1,
    keySet: keySet(number, NOW + number),
    sealedKeys: sealedKeys(number),
    now: NOW + number,
    notice: notice(NOW + number, number),
    request: request("PublishKeySet"),
    ...changes,
  });

  test("an unknown address or number is told apart from an error", async () => {
    const storage = await open().fresh();
    await createAccount(storage, "alice@acme.test");
    expect(await storage.keySets.get("nobody@acme.test", 0)).toEqual({ kind: "address-unknown" });
    expect(await storage.keySets.get("alice@acme.test", 2)).toEqual({
      kind: "number-unknown",
      activeNumber: 1,
    });
    expect(await storage.keySets.list("nobody@acme.test", { limit: 5, after: 0 })).toEqual({
      kind: "address-unknown",
    });
  });

  test("number 0 is the active set, and each set knows what its successor says about it", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const { id } = (await storage.accounts.byAddress("alice@acme.test"))!;
    expect(await storage.keySets.get("alice@acme.test", 0)).toEqual({
      kind: "found",
      keySet: made.keySet,
      activeNumber: 1,
      supersededAt: 0,
      revoked: false,
    });
    const second = keySet(2, NOW + 2);
    const third = keySet(3, NOW + 3, true);
    await storage.keySets.publish(publication(id, 2, { keySet: second }));
    await storage.keySets.publish(publication(id, 3, { keySet: third }));
    const get = (number: number) => storage.keySets.get("alice@acme.test", number);
    expect(await get(0)).toMatchObject({ keySet: third, activeNumber: 3, supersededAt: 0, revoked: false });
    expect(await get(1)).toMatchObject({ keySet: made.keySet, supersededAt: NOW + 2, revoked: false });
    expect(await get(2)).toMatchObject({ keySet: second, supersededAt: NOW + 3, revoked: true });
  });

  test("of many who publish on top of the same set one succeeds", async () => {
    const [one, other] = await open().pair();
    const id = await createAccount(one, "alice@acme.test");
    const results = await Promise.all(
      range(1, 8).map((i) => (i % 2 ? one : other).keySets.publish(publication(id, 2))),
    );
    expect(results.filter(({ kind }) => kind === "published")).toHaveLength(1);
    expect(results.filter(({ kind }) => kind === "conflict")).toHaveLength(7);
    for (const result of results) expect(result).toMatchObject({ activeNumber: 2 });
    expect(await one.notices.after(id, 0)).toHaveLength(1);
  });

  test("a set whose number does not follow is a conflict and changes nothing", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const wrong = publication(id, 3, { expectedActiveNumber: 1 });
    expect(await storage.keySets.publish(wrong)).toEqual({ kind: "conflict", activeNumber: 1 });
    expect(await storage.keySets.publish(publication(id + 1, 2))).toEqual({
      kind: "conflict",
      activeNumber: 0,
    });
    expect(await storage.keySets.sealed(id)).toHaveLength(1);
  });

  test("sealed keys under another number are a mistake that changes nothing", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const wrong = publication(id, 2, { sealedKeys: sealedKeys(3) });
    await expect(storage.keySets.publish(wrong)).rejects.toThrow(RangeError);
    expect(await storage.keySets.get("alice@acme.test", 0)).toMatchObject({ activeNumber: 1 });
  });

  test("a publication repeated with its request id is answered, not made again", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const first = publication(id, 2);
    expect(await storage.keySets.publish(first)).toEqual({ kind: "published", activeNumber: 2 });
    await storage.keySets.publish(publication(id, 3));
    expect(await storage.keySets.publish(first)).toEqual({ kind: "published", activeNumber: 2 });
    const reused = { ...publication(id, 4), request: { ...first.request, fingerprint: new Uint8Array(32) } };
    expect(await storage.keySets.publish(reused)).toEqual({ kind: "request-id-reused" });
    expect(await storage.keySets.get("alice@acme.test", 0)).toMatchObject({ activeNumber: 3 });
  });

  test("pages of sets come with the set that supersedes their last", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    for (const number of range(2, 5)) await storage.keySets.publish(publication(id, number));
    const numbers = async (limit: number, after: number) => {
      const page = await storage.keySets.list("alice@acme.test", { limit, after });
      if (page.kind !== "found") throw new Error("account is gone");
      return [page.keySets.map((set) => set.number), page.next?.number, page.activeNumber];
    };
    expect(await numbers(2, 0)).toEqual([[1, 2], 3, 5]);
    expect(await numbers(2, 2)).toEqual([[3, 4], 5, 5]);
    expect(await numbers(2, 4)).toEqual([[5], undefined, 5]);
    expect(await numbers(2, 5)).toEqual([[], undefined, 5]);
  });

  test("sealed seeds come back in order, publications of a day are counted", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const sealed = sealedKeys(2);
    await storage.keySets.publish(publication(id, 2, { sealedKeys: sealed, now: NOW + DAY }));
    expect((await storage.keySets.sealed(id)).map(({ number }) => number)).toEqual([1, 2]);
    expect((await storage.keySets.sealed(id))[1]).toEqual(sealed);
    expect(await storage.keySets.publishedSince(id, NOW)).toBe(2);
    expect(await storage.keySets.publishedSince(id, NOW + 1)).toBe(1);
    expect(await storage.keySets.publishedSince(id, NOW + DAY + 1)).toBe(0);
  });

  test("notices are listed newest first and followed in order", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const bob = await createAccount(storage, "bob@acme.test");
    await storage.keySets.publish(publication(bob, 2));
    for (const number of range(2, 5)) await storage.keySets.publish(publication(id, number));
    const all = await storage.notices.after(id, 0);
    expect(all.map(({ keySetNumber }) => keySetNumber)).toEqual([2, 3, 4, 5]);
    expect(await storage.notices.after(id, all[1]!.id)).toEqual(all.slice(2));
    expect(await storage.notices.latestId(id)).toBe(all[3]!.id);
    expect(await storage.notices.list(id, { since: NOW + 3, limit: 2 })).toEqual([all[3], all[2]]);
    expect(await storage.notices.list(id, { since: NOW + 5, limit: 9 })).toEqual([all[3]]);
  });
}
