import { expect, test } from "vitest";
import { account, bytes, createAccount, DAY, NOW, session } from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

export function sessionTests(open: OpenStorages): void {
  test("an unknown token has no session", async () => {
    const storage = await open().fresh();
    expect(await storage.sessions.byTokenHash(bytes(), NOW)).toBeUndefined();
  });

  test("a token leads to its session and account", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const found = await storage.sessions.byTokenHash(made.session.tokenHash, NOW);
    expect(found!.account.address).toBe("alice@acme.test");
    expect(found!.session).toEqual({
      id: made.session.id,
      accountId: found!.account.id,
      deviceName: "laptop",
      createdAt: NOW,
      lastUsedAt: NOW,
    });
  });

  test("a session ends after 30 idle days, and after a year whatever it did", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const at = (now: number) => storage.sessions.byTokenHash(made.session.tokenHash, now);
    expect(await at(NOW + 30 * DAY - 1)).toBeDefined();
    expect(await at(NOW + 30 * DAY)).toBeUndefined();
    for (let day = 20; day <= 360; day += 20) await storage.sessions.touch(made.session.id, NOW + day * DAY);
    expect(await at(NOW + 365 * DAY - 1)).toBeDefined();
    expect(await at(NOW + 365 * DAY)).toBeUndefined();
    const { account: found } = (await at(NOW + 361 * DAY))!;
    expect(await storage.sessions.list(found.id, { limit: 10, now: NOW + 365 * DAY })).toEqual([]);
  });

  test("a late note of an earlier use does not turn the clock back", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    await storage.sessions.touch(made.session.id, NOW + 100);
    await storage.sessions.touch(made.session.id, NOW + 50);
    expect((await storage.sessions.byTokenHash(made.session.tokenHash, NOW + 100))!.session.lastUsedAt).toBe(
      NOW + 100,
    );
  });

  test("pages of sessions, newest first, neither repeat nor miss any while others begin", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test", { session: session(NOW - 1) });
    // Several at the same instant: the id decides.
    const made = Array.from({ length: 7 }, (_, i) => session(NOW + Math.floor(i / 3)));
    for (const one of made) await storage.sessions.create(id, one);
    const first = await storage.sessions.list(id, { limit: 4, now: NOW });
    await storage.sessions.create(id, session(NOW + 10));
    const last = first.at(-1)!;
    const rest = await storage.sessions.list(id, { limit: 100, after: last, now: NOW });
    const ids = [...first, ...rest].map((one) => one.id);
    expect(new Set(ids).size).toBe(8);
    expect(ids).toEqual(expect.arrayContaining(made.map((one) => one.id)));
    const times = [...first, ...rest].map((one) => one.createdAt);
    expect(times).toEqual([...times].sort((a, b) => b - a));
  });

  test("only the account itself can revoke its session, once", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const { id } = (await storage.accounts.byAddress("alice@acme.test"))!;
    const mallory = await createAccount(storage, "mallory@acme.test");
    expect(await storage.sessions.revoke(mallory, made.session.id)).toBe(false);
    expect(await storage.sessions.byTokenHash(made.session.tokenHash, NOW)).toBeDefined();
    expect(await storage.sessions.revoke(id, made.session.id)).toBe(true);
    expect(await storage.sessions.revoke(id, made.session.id)).toBe(false);
    expect(await storage.sessions.byTokenHash(made.session.tokenHash, NOW)).toBeUndefined();
  });

  test("a device name with characters that a database refuses is kept without them", async () => {
    const storage = await open().fresh();
    const id = await createAccount(storage, "alice@acme.test");
    const odd = session(NOW + 1, "phone\0 \ud800 ".padEnd(5_000, "x"));
    await storage.sessions.create(id, odd);
    const { session: kept } = (await storage.sessions.byTokenHash(odd.tokenHash, NOW + 1))!;
    expect(kept.deviceName.startsWith("phone \ufffd x")).toBe(true);
    expect(kept.deviceName.length).toBe(200);
  });

  test("sessions that ended are removed when a new one begins", async () => {
    const storage = await open().fresh();
    const made = account("alice@acme.test");
    await storage.accounts.create(made);
    const { id } = (await storage.accounts.byAddress("alice@acme.test"))!;
    await storage.sessions.create(id, session(NOW + 40 * DAY));
    expect(await storage.sessions.revoke(id, made.session.id)).toBe(false);
  });
}
