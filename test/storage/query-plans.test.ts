/** Which way SQLite takes to answer the queries that must cost the same however much there is. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import type { CompiledQuery } from "kysely";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createStorage, type Storage } from "../../src/storage/open.ts";
import { openSqlite } from "../../src/storage/sqlite.ts";
import { acceptance, acceptMany, bytes, createAccount, enqueue, MAX_BYTES, NOW, range } from "./fixtures.ts";

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let storage: Storage;
let raw: Sqlite.Database;
let alice: number;
let queries: CompiledQuery[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keypears-plans-"));
  const path = join(folder, "node.db");
  storage = createStorage(openSqlite(path, { log: ({ query }) => void queries.push(query) }));
  await storage.migrate();
  alice = await createAccount(storage, "alice@acme.test");
  raw = new Sqlite(path);
});
afterAll(async () => {
  raw.close();
  await storage.close();
  await rm(folder, { recursive: true, force: true });
});

/** The plans of all statements that `work` runs. */
async function plansOf(work: () => Promise<unknown>): Promise<string[]> {
  queries = [];
  await work();
  return queries
    .filter(({ sql }) => /^\s*(select|update|delete|with|insert)/i.test(sql))
    .flatMap(({ sql, parameters }) =>
      raw
        .prepare<unknown[], { detail: string }>(`explain query plan ${sql}`)
        .all(...parameters)
        .map(({ detail }) => detail),
    );
}

/** What may be scanned, being short by itself: values that were given, accounts being purged. */
const SHORT_SCANS = [
  "CONSTANT ROW",
  "1 CONSTANT ROW",
  "3-ROW VALUES CLAUSE",
  // One row of what a statement is given.
  "asked",
  "ledgers",
  "accounts USING COVERING INDEX accounts_purging",
  "turns",
  "due",
];

const lease = { destination: "partner.test", leaseMs: 60_000, limit: 256, maxBytes: MAX_BYTES, now: NOW };

const hot: Record<string, () => Promise<unknown>> = {
  "a page of an inbox": () => storage.received.list(alice, { limit: 50, before: 1_000_000, now: NOW }),
  "the first page of an inbox": () => storage.received.list(alice, { limit: 50, now: NOW }),
  "what follows a cursor": () => storage.received.after(alice, { after: 7, limit: 50, now: NOW }),
  "the facts about delivered envelopes": () =>
    storage.received.deliveryFacts(
      range(1, 3).map((recipientKeyNumber) => ({
        recipient: "alice@acme.test",
        recipientKeyNumber,
        sender: "bob@partner.test",
        shareId: bytes(),
      })),
    ),
  "one received share": () => storage.received.get(alice, bytes(), NOW),
  "accepting a batch": () =>
    storage.received.accept(range(1, 3).map(() => acceptance(alice, { firstContact: true }))),
  "deleting a received share": async () => {
    const [one] = await acceptMany(storage, alice, 1);
    await storage.received.delete(alice, one!.envelope.shareId);
  },
  "marking a share opened": () => storage.received.markOpened(alice, bytes(), NOW),
  "sweeping what has run out": () => storage.received.deleteExpired(NOW, 100),
  "a key set": () => storage.keySets.get("alice@acme.test", 0),
  "a session": () => storage.sessions.byTokenHash(bytes(), NOW),
  "a page of sessions": () =>
    storage.sessions.list(alice, { limit: 50, after: { createdAt: NOW, id: "ff" }, now: NOW }),
  "sending a share": () => enqueue(storage, alice),
  "a page of sent shares": () => storage.outbox.list(alice, { limit: 50, before: 1_000_000 }),
  "one sent share": () => storage.outbox.get(alice, bytes()),
  "which destinations are due": () => storage.outbox.dueDestinations("UNTRIED", NOW, 100),
  "when the next delivery is due": () => storage.outbox.nextDueAt(),
  "leasing, renewing, settling and releasing": async () => {
    await enqueue(storage, alice);
    const [one] = await storage.outbox.lease({ ...lease, token: "plan" });
    await storage.outbox.renew("plan", 60_000, NOW);
    await storage.outbox.settle("plan", [{ outboxId: one!.outboxId, update: { kind: "delivered" } }], NOW);
    await storage.outbox.release("plan", NOW);
  },
  "notices after one": () => storage.notices.after(alice, 7),
  "what a domain has proven": () => storage.peerDomains.read("acme.test"),
  "which keys wait": () => storage.peerDomains.waiting(NOW, 100),
};

test.each(Object.entries(hot))("%s is found by indexes, without a scan or a sort", async (_, work) => {
  const plans = await plansOf(work);
  expect(plans.length).toBeGreaterThan(0);
  for (const plan of plans) {
    if (SHORT_SCANS.some((scan) => plan.startsWith(`SCAN ${scan}`))) continue;
    expect(plan).not.toMatch(/^SCAN/);
    expect(plan).not.toContain("TEMP B-TREE FOR ORDER BY");
  }
});

test("which destinations are due is read off one index, in its order, as far as the limit goes", async () => {
  const plans = await plansOf(() => storage.outbox.dueDestinations("FAILING", NOW, 100));
  expect(plans).toEqual([
    "SEARCH outbox_destinations USING COVERING INDEX outbox_destinations_due (standing=? AND due_at<?)",
  ]);
});

test("a lease locks what it chose by its ids, and goes through nothing else that is due", async () => {
  await enqueue(storage, alice);
  queries = [];
  await storage.outbox.lease({ ...lease, token: "few" });
  const locking = queries.filter(({ sql }) => /^select "id", "stored_bytes".* "id" in \(/.test(sql));
  expect(locking).toHaveLength(1);
  const plans = await plansOf(async () => void queries.push(...locking));
  expect(plans).toEqual(["SEARCH sent_shares USING INTEGER PRIMARY KEY (rowid=?)"]);
});

test("a page of an inbox never touches the bytes of its shares", async () => {
  queries = [];
  await storage.received.list(alice, { limit: 50, now: NOW });
  await storage.outbox.list(alice, { limit: 50 });
  for (const { sql } of queries) expect(sql).not.toContain("envelopes");
});

test("no list pages by offset", async () => {
  queries = [];
  for (const work of Object.values(hot)) await work();
  for (const { sql } of queries) expect(sql).not.toMatch(/\boffset\b/i);
});

test("writes that wait together share one commit", async () => {
  queries = [];
  await Promise.all(range(1, 100).map(() => acceptMany(storage, alice, 1)));
  expect(queries.filter(({ sql }) => sql === "commit").length).toBeLessThanOrEqual(2);
});
