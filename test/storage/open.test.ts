import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Sqlite from "better-sqlite3";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { StorageError } from "../../src/storage/errors.ts";
import { createStorage, openStorage, type Storage } from "../../src/storage/open.ts";
import { openSqlite } from "../../src/storage/sqlite.ts";
import { acceptance, acceptMany, bytes, createAccount, envelope, NOW, range } from "./fixtures.ts";

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
const open: Storage[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keypears-open-"));
});
afterEach(async () => {
  for (const storage of open.splice(0)) await storage.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function newPath(): string {
  return join(folder, `${randomUUID()}.db`);
}

async function openAt(path: string): Promise<Storage> {
  const storage = await openStorage({ url: `sqlite:${path}` });
  open.push(storage);
  return storage;
}

async function failure(promise: Promise<unknown>): Promise<StorageError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StorageError);
  return error as StorageError;
}

test.each([
  ["mysql://localhost/x", "must begin with"],
  ["", "must begin with"],
  ["sqlite:", "names no file"],
  ["postgres://[", "not a valid URL"],
])("the URL %j is refused as a mistake of configuration", async (url, message) => {
  const error = await failure(openStorage({ url }));
  expect(error).toMatchObject({ reason: "DATABASE_CONFIGURATION", retryable: false });
  expect(error.message).toContain(message);
});

test("a missing folder is named as the reason, without its path", async () => {
  const error = await failure(openStorage({ url: `sqlite:${join(folder, "missing", "node.db")}` }));
  expect(error.reason).toBe("DATABASE_CONFIGURATION");
  expect(error.message).toBe("folder of the database file does not exist, create it first");
});

test("a folder in place of the file is refused", async () => {
  mkdirSync(join(folder, "folder.db"));
  const error = await failure(openStorage({ url: `sqlite:${join(folder, "folder.db")}` }));
  expect(error.reason).toBe("DATABASE_CONFIGURATION");
});

test("a file that is no database is refused and left as it is", async () => {
  const path = newPath();
  writeFileSync(path, "no database, but something that somebody may still need".repeat(100));
  const before = readFileSync(path);
  expect((await failure(openStorage({ url: `sqlite:${path}` }))).reason).toBe("DATABASE_CORRUPT");
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a database that a newer release migrated is refused", async () => {
  const path = newPath();
  await (await openStorage({ url: `sqlite:${path}` })).close();
  const raw = new Sqlite(path);
  raw.exec("insert into kysely_migration values ('999-later', '2027-01-01T00:00:00.000Z')");
  raw.close();
  expect(await failure(openStorage({ url: `sqlite:${path}` }))).toMatchObject({ reason: "DATABASE_TOO_NEW" });
});

test("without migration the tables are left alone until it is asked for", async () => {
  const storage = await openStorage({ url: `sqlite:${newPath()}`, migrate: false });
  open.push(storage);
  expect((await failure(storage.accounts.byId(1))).reason).toBe("DATABASE_FAILED");
  await storage.migrate();
  expect(await storage.accounts.byId(1)).toBeUndefined();
});

test("the file and its log are readable by their owner alone, whatever the umask", async () => {
  const path = newPath();
  const before = process.umask(0);
  try {
    const storage = await openAt(path);
    await createAccount(storage, "alice@acme.test");
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  } finally {
    process.umask(before);
  }
});

test("what an account deleted is not left in the file", async () => {
  const path = newPath();
  const storage = await openAt(path);
  const bob = await createAccount(storage, "bob@partner.test");
  const marker = bytes(64);
  const [kept, deleted] = [bytes(64), bytes(64)];
  const shares = [kept, deleted].map((ciphertext) =>
    acceptance(bob, { envelope: envelope({ ciphertext: Buffer.concat([ciphertext, marker]) }) }),
  );
  await storage.received.accept(shares);
  await storage.received.delete(bob, shares[1]!.envelope.shareId);
  await storage.close();
  const file = readFileSync(path);
  expect(file.indexOf(Buffer.from(kept))).toBeGreaterThan(0);
  expect(file.indexOf(Buffer.from(deleted))).toBe(-1);
});

test("a full database refuses what it cannot store, keeps what it acknowledged, and goes on once there is room", async () => {
  const database = openSqlite(newPath());
  const storage = createStorage(database);
  open.push(storage);
  await storage.migrate();
  const bob = await createAccount(storage, "bob@partner.test");
  const limitPages = (pages: number) =>
    database.write((trx) => sql`pragma max_page_count = ${sql.lit(pages)}`.execute(trx));
  const acknowledged: Uint8Array[] = [];
  const accept = () => {
    const one = acceptance(bob, { envelope: envelope({ ciphertext: bytes(100_000) }) });
    return storage.received.accept([one]).then(() => void acknowledged.push(one.envelope.shareId));
  };
  await accept();
  await limitPages(100);
  const results = await Promise.allSettled(range(1, 20).map(accept));
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  expect(failures.length).toBeGreaterThan(0);
  for (const error of failures) expect(error).toMatchObject({ reason: "DATABASE_FULL", retryable: true });
  for (const shareId of acknowledged) expect(await storage.received.get(bob, shareId, NOW)).toBeDefined();
  expect(await storage.received.list(bob, { limit: 100, now: NOW })).toHaveLength(acknowledged.length);
  await limitPages(1_000_000);
  await accept();
});

test("a database that takes no writes says so, answers reads, and takes them again without being opened anew", async () => {
  // In memory one connection reads and writes, so that a read can turn the switch, which stands for a disk that went bad.
  const database = openSqlite(":memory:");
  const setReadOnly = (value: string) =>
    database.read((queries) => sql.raw(`pragma query_only = ${value}`).execute(queries));
  const storage = createStorage(database);
  open.push(storage);
  await storage.migrate();
  const bob = await createAccount(storage, "bob@partner.test");
  await setReadOnly("on");
  expect(await failure(acceptMany(storage, bob, 1))).toMatchObject({
    reason: "DATABASE_READ_ONLY",
    retryable: true,
    message: "database takes no writes at present, try again later",
  });
  expect(await storage.received.list(bob, { limit: 10, now: NOW })).toHaveLength(0);
  await setReadOnly("off");
  await acceptMany(storage, bob, 1);
  expect(await storage.received.list(bob, { limit: 10, now: NOW })).toHaveLength(1);
});

test("a damaged file is an error with its reason, not a wrong answer", async () => {
  const path = newPath();
  const storage = await openStorage({ url: `sqlite:${path}` });
  await acceptMany(storage, await createAccount(storage, "bob@partner.test"), 50);
  await storage.close();
  truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);
  const error = await failure(
    (async () => {
      const damaged = await openAt(path);
      for (const i of range(1, 2)) await acceptMany(damaged, i, 10);
    })(),
  );
  expect(error.reason).toBe("DATABASE_CORRUPT");
});

test("a file that may not be written is named as such", async (context) => {
  if (process.getuid?.() === 0) context.skip("root may write every file");
  const path = newPath();
  await (await openStorage({ url: `sqlite:${path}` })).close();
  chmodSync(path, 0o400);
  expect((await failure(openStorage({ url: `sqlite:${path}` }))).reason).toBe("DATABASE_CONFIGURATION");
});

test("a PostgreSQL that does not answer is unavailable, and its password stays out of the message", async () => {
  const error = await failure(openStorage({ url: "postgres://user:hunter2@127.0.0.1:1/x" }));
  expect(error).toMatchObject({ reason: "DATABASE_UNAVAILABLE", retryable: true });
  expect(error.message).not.toContain("hunter2");
});

test("two processes that open a new file at once both find it ready, and neither loses a write", async () => {
  const path = newPath();
  const script = fileURLToPath(new URL("./write-shares.ts", import.meta.url));
  const children = range(1, 2).map((i) =>
    spawn(process.execPath, [script, `sqlite:${path}`, `user${i}@partner.test`, "40"], {
      stdio: ["ignore", "ignore", "inherit"],
    }),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0]));
  expect(codes).toEqual([0, 0]);
  const storage = await openAt(path);
  for (const i of range(1, 2)) {
    const { id } = (await storage.accounts.byAddress(`user${i}@partner.test`))!;
    const shares = await storage.received.after(id, { after: 0, limit: 100, now: NOW });
    expect(shares.map(({ sequence }) => sequence)).toEqual(range(1, 40));
  }
});

test("a process killed in the middle of its writes loses nothing that it acknowledged", async () => {
  const path = newPath();
  const script = fileURLToPath(new URL("./write-shares.ts", import.meta.url));
  const child = spawn(process.execPath, [script, `sqlite:${path}`, "bob@partner.test", "100000"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let acknowledged = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    acknowledged += text;
    if (acknowledged.split("\n").length > 25) child.kill("SIGKILL");
  });
  await once(child, "close");
  const ids = acknowledged.split("\n").slice(0, -1);
  expect(ids.length).toBeGreaterThanOrEqual(25);
  const storage = await openAt(path);
  const { id } = (await storage.accounts.byAddress("bob@partner.test"))!;
  const shares = await storage.received.after(id, { after: 0, limit: 100_000, now: NOW });
  const kept = new Set(shares.map(({ shareId }) => Buffer.from(shareId).toString("hex")));
  for (const shareId of ids) expect(kept.has(shareId)).toBe(true);
  expect(shares.map(({ sequence }) => sequence)).toEqual(range(1, shares.length));
});

test("a purge that a crash interrupted is ended by the next sweeps, and touches nobody else", async () => {
  const database = openSqlite(newPath());
  const storage = createStorage(database);
  open.push(storage);
  await storage.migrate();
  const gone = await createAccount(storage, "gone@partner.test");
  const bob = await createAccount(storage, "bob@partner.test");
  const expiring = (id: number) => acceptance(id, { envelope: envelope({ expiresAt: NOW + 1 }) });
  await storage.received.accept([...range(1, 600).map(() => expiring(gone)), acceptance(bob)]);
  await database.write((trx) =>
    trx.updateTable("accounts").set({ deleted_at: NOW, purging: 1 }).where("id", "=", gone).execute(),
  );
  while ((await storage.received.deleteExpired(NOW + 1, 10)) > 0);
  const count = (table: "received_shares" | "received_envelopes" | "sender_key_sets" | "tombstones") =>
    database.read(async (queries) => (await queries.selectFrom(table).selectAll().execute()).length);
  for (const table of ["received_shares", "received_envelopes", "sender_key_sets", "tombstones"] as const) {
    expect(await count(table)).toBe(1);
  }
});
