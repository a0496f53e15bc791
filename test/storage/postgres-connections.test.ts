// What becomes of reads and writes when lines to PostgreSQL break, stall or wait, and how connections are set up.

import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import { createStorage, openStorage, type Storage } from "../../src/storage/open.ts";
import { openPostgres, type PostgresOptions } from "../../src/storage/postgres.ts";
import { connectionConfig } from "../../src/storage/postgres-connection.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { acceptance, acceptMany, createAccount, enqueue, MAX_BYTES, NOW, range } from "./fixtures.ts";
import { type PostgresServer, psql, startOwnPostgres, startPostgres } from "./postgres.ts";
import { type PostgresProxy, startProxy } from "./proxy.ts";

const NO_TIMEOUTS = { statement: 0, lock: 0, idleInTransaction: 0, answer: 0 };
const COMMIT = Buffer.from("commit\0");

let server: PostgresServer;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startPostgres();
}, 120_000);
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => server?.stop());

/** An empty database with its tables. */
async function newUrl(): Promise<string> {
  const url = await server.createDatabase();
  await (await openStorage({ url })).close();
  return url;
}

function open(url: string, options: PostgresOptions = {}): { database: Database; storage: Storage } {
  const database = openPostgres(url, options);
  const storage = createStorage(database);
  ends.push(() => storage.close());
  return { database, storage };
}

async function proxied(url: string): Promise<PostgresProxy> {
  const proxy = await startProxy(url);
  ends.push(() => proxy.close());
  return proxy;
}

async function settingsIn(queries: Parameters<Parameters<Database["read"]>[0]>[0]): Promise<unknown> {
  const { rows } = await sql`
    select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
      current_setting('idle_in_transaction_session_timeout') as idle`.execute(queries);
  return rows[0];
}

describe("time-outs", () => {
  const usual = { statement: "30s", lock: "10s", idle: "10s" };
  const none = { statement: "0", lock: "0", idle: "0" };

  test("are those of the session, so that reads have them too", async () => {
    const { database } = open(await server.createDatabase());
    expect(await database.read(settingsIn)).toEqual(usual);
    expect(await database.write(settingsIn)).toEqual(usual);
  });

  test("are set in each transaction behind a pooler, and leave nothing in the session", async () => {
    const { database } = open(await server.createDatabase(), { pooled: true, connections: 1 });
    expect(await database.write(settingsIn)).toEqual(usual);
    expect(await database.read(settingsIn)).toEqual(none);
  });

  test("are none for what takes as long as it takes, whatever the role was given", async () => {
    const url = await server.createDatabase();
    await psql(url, `alter database ${new URL(url).pathname.slice(1)} set statement_timeout = '1s'`);
    const { database } = open(url, { unhurried: true });
    expect(await database.write(settingsIn)).toEqual(none);
  });

  test("end a wait for a lock as busy, with nothing done", async () => {
    const url = await newUrl();
    const { database, storage } = open(url, { timeouts: { ...NO_TIMEOUTS, lock: 50 } });
    const bob = await createAccount(storage, "bob@partner.test");
    await database.write(async (trx) => {
      await trx.selectFrom("accounts").select("id").where("id", "=", bob).forUpdate().execute();
      await expect(acceptMany(storage, bob, 1)).rejects.toMatchObject({
        reason: "DATABASE_BUSY",
        retryable: true,
      });
    });
    await acceptMany(storage, bob, 1);
    expect(await storage.received.list(bob, { limit: 10, now: NOW })).toHaveLength(1);
  });

  test("take the locks of a process that stopped in the middle of a transaction", async () => {
    const url = await newUrl();
    const { storage } = open(url);
    const bob = await createAccount(storage, "bob@partner.test");
    const { database: stopped } = open(url, { timeouts: { ...NO_TIMEOUTS, idleInTransaction: 100 } });
    const resumed = Promise.withResolvers<void>();
    let runs = 0;
    const late = stopped.write(async (trx) => {
      runs += 1;
      await trx.selectFrom("accounts").select("id").where("id", "=", bob).forUpdate().execute();
      if (runs === 1) await resumed.promise;
      await trx.updateTable("accounts").set({ stored_bytes: 7 }).where("id", "=", bob).execute();
    });
    await acceptMany(storage, bob, 1); // waits for the lock, and gets it
    resumed.resolve();
    await late.catch((error: unknown) => expect(error).toMatchObject({ reason: "DATABASE_UNAVAILABLE" }));
  });

  test("end the wait for an answer on a line that died without a word, and the next one works", async () => {
    const proxy = await proxied(await newUrl());
    const { storage } = open(proxy.url, { timeouts: { ...NO_TIMEOUTS, answer: 1_500 }, connections: 1 });
    await createAccount(storage, "bob@partner.test");
    proxy.stalled = true;
    await expect(storage.accounts.byAddress("bob@partner.test")).rejects.toMatchObject({
      reason: "DATABASE_UNAVAILABLE",
    });
    proxy.stalled = false;
    expect(await storage.accounts.byAddress("bob@partner.test")).toBeDefined();
  });
});

describe("a lost line", () => {
  test("costs a read nothing, whatever died in the pool", async () => {
    const proxy = await proxied(await newUrl());
    const { storage } = open(proxy.url);
    await createAccount(storage, "bob@partner.test");
    for (const _ of range(1, 5)) {
      await Promise.all(range(1, 10).map(() => storage.accounts.byAddress("bob@partner.test")));
      proxy.cut();
      await Promise.all(range(1, 10).map(() => storage.accounts.byAddress("bob@partner.test")));
    }
  });

  test("before a commit was sent costs a write nothing: it runs again, and happens once", async () => {
    const proxy = await proxied(await newUrl());
    const { storage } = open(proxy.url);
    const bob = await createAccount(storage, "bob@partner.test");
    let cuts = 0;
    proxy.onSent = (chunk, line) => {
      if (!chunk.includes("tombstones") || cuts > 0) return chunk;
      cuts += 1;
      line.cut();
      return Buffer.alloc(0);
    };
    expect(await storage.received.accept([acceptance(bob)])).toEqual([{ kind: "accepted", sequence: 1 }]);
    expect(cuts).toBe(1);
  });

  test("that swallows a commit leaves nothing, and no claim that it happened", async () => {
    const proxy = await proxied(await newUrl());
    const { storage } = open(proxy.url);
    const bob = await createAccount(storage, "bob@partner.test");
    proxy.onSent = (chunk, line) => {
      if (!chunk.includes(COMMIT)) return chunk;
      proxy.onSent = (next) => next;
      line.cut();
      return Buffer.alloc(0);
    };
    const one = acceptance(bob);
    await expect(storage.received.accept([one])).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    expect(await storage.received.accept([one])).toEqual([{ kind: "accepted", sequence: 1 }]);
  });

  test("after a commit was sent is told as a commit that may have happened, and asking again is safe", async () => {
    const proxy = await proxied(await newUrl());
    const { storage } = open(proxy.url);
    const bob = await createAccount(storage, "bob@partner.test");
    const alice = await createAccount(storage, "alice@acme.test");
    const share = acceptance(bob);
    const sent = {
      accountId: alice,
      envelope: acceptance(bob).envelope,
      recipientDomain: "partner.test",
      stampNonce: undefined,
      now: NOW,
      maxStoredBytes: MAX_BYTES,
      maxContacts: 10,
    };
    const unknown = { reason: "DATABASE_UNAVAILABLE", message: expect.stringContaining("may have happened") };
    const lease = (token: string, now: number) =>
      storage.outbox.lease({
        destination: "partner.test",
        token,
        leaseMs: 100,
        limit: 9,
        maxBytes: MAX_BYTES,
        now,
      });

    cutNextCommit(proxy);
    await expect(storage.received.accept([share])).rejects.toMatchObject(unknown);
    expect(await storage.received.accept([share])).toEqual([{ kind: "duplicate" }]);

    cutNextCommit(proxy);
    await expect(storage.outbox.enqueue(sent)).rejects.toMatchObject(unknown);
    expect(await storage.outbox.enqueue(sent)).toMatchObject({ kind: "unchanged" });

    // A lease that nobody knows of runs out.
    cutNextCommit(proxy);
    await expect(lease("lost", NOW)).rejects.toMatchObject(unknown);
    expect(await lease("early", NOW + 99)).toHaveLength(0);
    const [leased] = await lease("next", NOW + 100);

    const results = [{ outboxId: leased!.outboxId, update: { kind: "delivered" } as const }];
    cutNextCommit(proxy);
    await expect(storage.outbox.settle("next", results, NOW + 101)).rejects.toMatchObject(unknown);
    expect(await storage.outbox.settle("next", results, NOW + 101)).toBe(0);
    expect((await storage.outbox.status(alice, sent.envelope.shareId))!.state).toBe("DELIVERED");
  });
});

/** Lets the server do the next commit, and cuts the line before its answer arrives. */
function cutNextCommit(proxy: PostgresProxy): void {
  proxy.onSent = (chunk, line) => {
    if (!chunk.includes(COMMIT)) return chunk;
    proxy.onSent = (next) => next;
    line.cutAfter(chunk);
    return Buffer.alloc(0);
  };
}

describe("nodes side by side", () => {
  test("queue for one domain without waiting for each other's commits, and a lease overlooks none of them", async () => {
    const proxy = await proxied(await newUrl());
    const { storage: slow } = open(proxy.url);
    const { storage: quick } = open(proxy.url);
    const [alice, carol] = [
      await createAccount(slow, "alice@acme.test"),
      await createAccount(slow, "carol@acme.test"),
    ];
    await enqueue(slow, alice);
    // The slow one has done all but its commit, which is held back.
    const held = Promise.withResolvers<() => void>();
    proxy.onSent = (chunk, line) => {
      if (!chunk.includes(COMMIT)) return chunk;
      proxy.onSent = (next) => next;
      held.resolve(() => line.pass(chunk));
      return Buffer.alloc(0);
    };
    const first = enqueue(slow, alice);
    const commit = await held.promise;
    await enqueue(quick, carol);
    const lease = { destination: "partner.test", leaseMs: 60_000, limit: 10, maxBytes: MAX_BYTES, now: NOW };
    const leasing = quick.outbox.lease({ ...lease, token: "all" });
    commit();
    await first;
    const [taken, rest] = [await leasing, await quick.outbox.lease({ ...lease, token: "rest" })];
    expect(taken.length + rest.length).toBe(3);
  });
});

describe("a read-only database", () => {
  test("takes reads, refuses writes as retryable, and takes writes again without a restart", async () => {
    const url = await newUrl();
    const { storage } = open(url);
    const bob = await createAccount(storage, "bob@partner.test");
    const name = new URL(url).pathname.slice(1);
    // Only new sessions read this setting, as only new ones reach another server after a fail-over.
    const set = async (value: string) => {
      await psql(url, `alter database ${name} set default_transaction_read_only = ${value}`);
    };
    await set("on");
    await psql(
      server.url,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
    );
    await expect(acceptMany(storage, bob, 1)).rejects.toMatchObject({
      reason: "DATABASE_READ_ONLY",
      retryable: true,
      message: "database takes no writes at present, try again later",
    });
    expect(await storage.accounts.byAddress("bob@partner.test")).toBeDefined();
    await psql(url, "set default_transaction_read_only = off", `alter database ${name} reset all`);
    // Each refused write gave its connection up; the read above may have made another.
    await expect
      .poll(
        () =>
          acceptMany(storage, bob, 1).then(
            () => "stored",
            () => "refused",
          ),
        { timeout: 30_000 },
      )
      .toBe("stored");
    expect(await storage.received.list(bob, { limit: 10, now: NOW })).toHaveLength(1);
  });
});

describe("a server that is not fit", () => {
  test("for its encoding is refused with what to do", async () => {
    const name = new URL(await server.createDatabase()).pathname.slice(1);
    await psql(server.url, `drop database ${name}`);
    await psql(server.url, `create database ${name} encoding 'SQL_ASCII' template template0`);
    await expect(openStorage({ url: server.url.replace(/postgres$/, name) })).rejects.toMatchObject({
      reason: "DATABASE_CONFIGURATION",
      message: expect.stringContaining("UTF8"),
    });
  });

  test("for acknowledging what it can lose is refused", async () => {
    const url = await server.createDatabase();
    await psql(url, `alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`);
    await expect(openStorage({ url })).rejects.toMatchObject({
      reason: "DATABASE_CONFIGURATION",
      message: expect.stringContaining("synchronous_commit"),
    });
  });
});

describe("TLS", () => {
  const tlsOf = (url: string): unknown =>
    (new pg.Client(connectionConfig(url, "test")) as { ssl?: unknown }).ssl;

  test.each([
    "postgres://u@127.0.0.1/x",
    "postgres://u@127.8.0.1:5433/x",
    "postgres://u@[::1]/x",
    "postgres://u@localhost/x",
    "postgresql:///x?host=/var/run/postgresql",
  ])("is not needed on this machine: %s", (url) => {
    expect(tlsOf(url)).toBe(false);
  });

  test.each([
    "postgres://u@db.example/x",
    "postgres://u@10.0.0.1/x",
    "postgres://u@localhost.example/x",
    "postgres://u@127.0.0.1/x?host=db.example",
    "postgres://u@db.example/x?sslmode=verify-full",
    "postgres://u@db.example/x?ssl=false",
  ])("is spoken with every other host, its certificate and name checked: %s", (url) => {
    expect(tlsOf(url)).toEqual({});
  });

  test("is left out or unchecked only where the URL says so", () => {
    expect(tlsOf("postgres://u@db.example/x?sslmode=disable")).toBe(false);
    expect(tlsOf("postgres://u@db.example/x?sslmode=require")).toEqual({ rejectUnauthorized: false });
  });

  test.each([
    ["postgres://u:hunter2@db.example/x?sslmode=prefer", "sslmode"],
    ["postgres://u:hunter2@db.example/x?sslmode=allow", "sslmode"],
    ["postgres://u:hunter2@db.example/x?sslmode=", "sslmode"],
    ["postgres://u:hunter2@db.example/x?sslmode=verify-ca", "sslrootcert"],
    ["postgres://u:hunter2@db.example/x?sslrootcert=/nowhere/ca.pem", "cannot be read"],
    ["postgres://u:hunter2@db.example/x?sslnegotiation=later", "parameters"],
  ])("that cannot be as %s says is a mistake of configuration", (url, message) => {
    const refusal = () => connectionConfig(url, "test");
    expect(refusal).toThrow(expect.objectContaining({ reason: "DATABASE_CONFIGURATION" }));
    expect(refusal).toThrow(message);
    expect(refusal).not.toThrow("hunter2");
  });

  test("that the server does not speak is named as the reason", async () => {
    const url = `${await server.createDatabase()}?sslmode=require`;
    await expect(openStorage({ url })).rejects.toMatchObject({
      reason: "DATABASE_CONFIGURATION",
      message: expect.stringContaining("sslmode=disable"),
    });
  });

  test("with a certificate is checked for its authority and for the name of the host", async () => {
    const folder = await mkdtemp(join(tmpdir(), "keypears-tls-"));
    ends.push(() => rm(folder, { recursive: true }));
    await chmod(folder, 0o755); // the server runs as another user
    const authority = createCertificateAuthority();
    const { cert, key } = authority.issue({ names: ["localhost"] });
    const [certFile, keyFile, rootFile] = ["cert.pem", "key.pem", "root.pem"].map((name) =>
      join(folder, name),
    );
    await writeFile(rootFile!, authority.certificate);
    const secure = await startOwnPostgres();
    ends.push(() => secure.stop());
    await writeFile(certFile!, cert);
    await writeFile(keyFile!, key, { mode: 0o600 });
    if (process.getuid?.() === 0) await chown(keyFile!, secure.owner.uid, secure.owner.gid);
    await psql(
      secure.url,
      `alter system set ssl_cert_file = '${certFile}'`,
      `alter system set ssl_key_file = '${keyFile}'`,
      "alter system set ssl = on",
    );
    await secure.restart("fast");
    const at = async (host: string, parameters: string) => {
      const url = new URL(secure.url);
      url.hostname = host;
      url.search = parameters;
      const storage = await openStorage({ url: url.href });
      await storage.close();
    };
    await at("localhost", `sslmode=verify-full&sslrootcert=${rootFile}`);
    await at("127.0.0.1", `sslmode=verify-ca&sslrootcert=${rootFile}`);
    await at("127.0.0.1", "sslmode=require");
    const refused = { reason: "DATABASE_CONFIGURATION", message: expect.stringContaining("sslrootcert") };
    await expect(at("127.0.0.1", `sslmode=verify-full&sslrootcert=${rootFile}`)).rejects.toMatchObject(
      refused,
    );
    await expect(at("localhost", "sslmode=verify-full")).rejects.toMatchObject(refused);
  });
});
