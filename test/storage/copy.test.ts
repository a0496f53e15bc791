// Moving a node's database, from SQLite to PostgreSQL and back.

import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../src/logger.ts";
import { type CopyOptions, type CopyProgress, copyDatabase } from "../../src/storage/copy.ts";
import type { Database } from "../../src/storage/database.ts";
import { createStorage, openForMaintenance, openStorage, type Storage } from "../../src/storage/open.ts";
import { createPostgresHints } from "../../src/storage/postgres-hints.ts";
import { contentOf } from "../support/database.ts";
import { acceptMany, createAccount, NOW, request } from "./fixtures.ts";
import { type FullNode, fillNode } from "./full-node.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";

let server: PostgresServer;
let folder: string;
/** A SQLite database with something in every table. */
let full: string;
let node: FullNode;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), "keypears-copy-"));
  full = newFile();
  const storage = await openStorage({ url: full });
  node = await fillNode(storage);
  await storage.close();
}, 120_000);
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

const newFile = () => `sqlite:${join(folder, `${randomUUID()}.db`)}`;

async function openAt(url: string): Promise<Storage> {
  const storage = await openStorage({ url });
  ends.push(() => storage.close());
  return storage;
}

async function copy(from: string, to: string, options?: CopyOptions) {
  const source = await openForMaintenance(from);
  try {
    const target = await openForMaintenance(to);
    try {
      return await copyDatabase(source, target, options);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Rows of the tables, none of which is missing. */
async function rowsIn(url: string): Promise<number> {
  const database = await openForMaintenance(url);
  try {
    const counts = await database.read(async (queries) => {
      const { rows } = await sql<{ n: number }>`
        select (select count(*) from accounts) + (select count(*) from received_shares)
          + (select count(*) from sent_shares) + (select count(*) from secrets) as n`.execute(queries);
      return rows[0]!.n;
    });
    return counts;
  } finally {
    await database.close();
  }
}

test("everything of a SQLite node is in PostgreSQL, and the same when it is moved back", async () => {
  const url = await server.createDatabase();
  const progress: CopyProgress[] = [];
  const tables = await copy(full, url, { onProgress: (one) => progress.push(one) });
  for (const { table, rows, checksum } of tables) {
    expect({ table, rows }).not.toEqual({ table, rows: 0 });
    expect(checksum).toMatch(/^[0-9a-f]{32}$/);
  }
  expect(progress.map(({ done }) => done)).toEqual(progress.map(({ done }) => done).sort((a, b) => a - b));
  expect(progress.at(-1)).toMatchObject({ step: "comparing", done: 1 });

  const back = newFile();
  expect(await copy(url, back)).toEqual(tables);
  expect(await contentOf(back)).toEqual(await contentOf(full));
});

test("a node goes on where it stopped, and gives no number twice", async () => {
  const url = await server.createDatabase();
  await copy(full, url);
  const back = newFile();
  await copy(url, back);
  for (const moved of [await openAt(url), await openAt(back)]) {
    const before = await moved.received.list(node.bob, { limit: 1, now: NOW });
    expect(before[0]).toMatchObject({ shareId: node.received, openedAt: NOW + 1 });
    await acceptMany(moved, node.bob, 3);
    const after = await moved.received.list(node.bob, { limit: 1, now: NOW });
    expect(after[0]!.sequence).toBe(before[0]!.sequence + 3);
    expect((await moved.outbox.status(node.alice, node.sent))!.state).toBe("DELIVERING");
    const taken = {
      destination: "partner.test",
      token: "x",
      leaseMs: 1,
      limit: 9,
      maxBytes: 1,
      now: NOW + 60_000,
    };
    expect((await moved.outbox.lease(taken))[0]).toBeDefined();
    // The account that was made last was deleted, and its id is not given again.
    expect(await createAccount(moved, "next@acme.test")).toBe(node.bob + 2);
    await moved.accounts.putSealedContacts({
      accountId: node.alice,
      expectedVersion: 1,
      sealed: new Uint8Array(1),
      now: NOW,
      request: request(),
    });
  }
});

test.each(["sqlite", "postgres"])("an empty node is moved to %s too", async (kind) => {
  const from = newFile();
  await (await openStorage({ url: from })).close();
  const to = kind === "sqlite" ? newFile() : await server.createDatabase();
  const tables = await copy(from, to);
  expect(tables.every(({ rows }) => rows === 0)).toBe(true);
});

test("a target in which something is stored is refused and left as it is", async () => {
  for (const url of [newFile(), await server.createDatabase()]) {
    const there = await openStorage({ url });
    await there.secrets.clusterSecret();
    await there.close();
    await expect(copy(full, url)).rejects.toMatchObject({ reason: "DATABASE_NOT_EMPTY", retryable: false });
    expect(await rowsIn(url)).toBe(1);
  }
});

test("a source on which a node runs is refused, and so is such a target", async () => {
  const file = newFile();
  const onFile = await openAt(file);
  const url = await server.createDatabase();
  const onServer = await openAt(url);
  await createAccount(onFile, "bob@partner.test");
  await createAccount(onServer, "bob@partner.test");
  const inUse = { reason: "DATABASE_IN_USE" };
  await expect(copy(file, await server.createDatabase())).rejects.toMatchObject(inUse);
  await expect(copy(url, newFile())).rejects.toMatchObject(inUse);
  await expect(copy(full, file)).rejects.toMatchObject(inUse);
  await expect(copy(full, url)).rejects.toMatchObject(inUse);
  // A node at rest still listens.
  const quiet = await server.createDatabase();
  const hints = createPostgresHints({ url: quiet, log: silentLogger });
  ends.push(() => hints.close());
  await expect.poll(() => hints.connected, { timeout: 30_000 }).toBe(true);
  await expect(copy(full, quiet)).rejects.toMatchObject(inUse);
});

test("a source that is no node's database is refused before anything is written", async () => {
  const url = await server.createDatabase();
  const target = newFile();
  await expect(copy(url, target)).rejects.toMatchObject({
    reason: "DATABASE_CONFIGURATION",
    message: "source database holds no node, check its URL",
  });
  const database = await openForMaintenance(url);
  ends.push(() => database.close());
  expect(await database.read((queries) => queries.introspection.getTables())).toEqual([]);
});

test("a copy that is interrupted leaves nothing behind, and can be made again", async () => {
  for (const url of [newFile(), await server.createDatabase()]) {
    for (const at of [0.2, 0.9]) {
      const interruption = new AbortController();
      const copying = copy(full, url, {
        signal: interruption.signal,
        onProgress: ({ done }) => {
          if (done > at) interruption.abort();
        },
      });
      await expect(copying).rejects.toMatchObject({ name: "AbortError" });
      expect(await rowsIn(url)).toBe(0);
    }
    await copy(full, url);
    expect(await rowsIn(url)).toBeGreaterThan(600);
  }
});

test("a copy that turns out to differ is not kept", async () => {
  const url = await server.createDatabase();
  const source = await openForMaintenance(full);
  const target = await openForMaintenance(url);
  ends.push(
    () => source.close(),
    () => target.close(),
  );
  await createStorage(target).migrate();
  // A trigger stands for whatever may change a byte on the way.
  await target.write(async (trx) => {
    await sql`create function bend() returns trigger language plpgsql as
      $$ begin new.device_name := new.device_name || ' '; return new; end $$`.execute(trx);
    await sql`create trigger bend before insert on sessions for each row execute function bend()`.execute(
      trx,
    );
  });
  await expect(copyDatabase(source, target)).rejects.toMatchObject({ reason: "COPY_DIFFERS" });
  const left = await target.read((queries) => queries.selectFrom("accounts").selectAll().execute());
  expect(left).toEqual([]);
});

test("whoever starts a node on the target meanwhile waits, and finds the copy", async () => {
  const url = await server.createDatabase();
  let second: Promise<number> | undefined;
  let early: Storage | undefined;
  const source = await openForMaintenance(full);
  const target = await openForMaintenance(url);
  ends.push(
    () => source.close(),
    () => target.close(),
  );
  const starting = async (): Promise<number> => {
    early = await openAt(url);
    return createAccount(early, "early@acme.test");
  };
  await copyDatabase(source, target, {
    onProgress: () => {
      second ??= starting();
    },
  });
  expect(await second).toBe(node.bob + 2);
  expect(await early!.accounts.byAddress("alice@acme.test")).toBeDefined();
});

test("every table of the schema is copied", async () => {
  const url = await server.createDatabase();
  const names = (await copy(full, url)).map(({ table }) => table).sort();
  const database: Database = await openForMaintenance(url);
  ends.push(() => database.close());
  const tables = await database.read((queries) => queries.introspection.getTables());
  expect(names).toEqual(
    tables
      .map(({ name }) => name)
      .filter((name) => !name.startsWith("kysely_"))
      .sort(),
  );
});
