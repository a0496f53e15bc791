import pg from "pg";
import { afterEach, expect, test, vi } from "vitest";
import { openStorage, type Storage } from "../../src/storage/open.ts";
import { acceptMany, createAccount, NOW, postgresBackend, range } from "./fixtures.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { describeStorage } from "./suite.ts";

vi.setConfig({ testTimeout: 60_000 });

const started = await startPostgres().catch((error: unknown) => error);
const storages: Storage[] = [];

afterEach(async () => {
  for (const storage of storages.splice(0)) await storage.close();
});

if (isServer(started)) {
  test("connections that the server ends are replaced, and what was acknowledged stays", async () => {
    const url = await started.createDatabase();
    const storage = await openStorage({ url });
    storages.push(storage);
    const bob = await createAccount(storage, "bob@partner.test");
    for (const round of range(1, 3)) {
      await Promise.all(range(1, 5).map(() => acceptMany(storage, bob, 1)));
      await endConnections(url);
      await acceptMany(storage, bob, 1);
      expect(await storage.received.after(bob, { after: 0, limit: 100, now: NOW })).toHaveLength(6 * round);
    }
  });

  test("a database that does not exist is a mistake of configuration", async () => {
    const url = `${await started.createDatabase()}_missing`;
    await expect(openStorage({ url })).rejects.toMatchObject({
      reason: "DATABASE_CONFIGURATION",
      code: "3D000",
    });
  });

  test("a wrong password is a mistake of configuration that the message does not repeat", async () => {
    const url = new URL(started.url);
    url.password = "hunter2";
    const error = await openStorage({ url: url.href }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ reason: "DATABASE_CONFIGURATION", code: "28P01" });
    expect(String(error)).not.toContain("hunter2");
  });

  // Last, since it ends the server.
  describeStorage("PostgreSQL", async () => postgresBackend(started));
} else {
  // Where no server is made for the machine, that is seen; where the tests must count, it fails.
  test.skipIf(!process.env.CI)("storage on PostgreSQL (it did not start)", () => {
    throw started;
  });
}

function isServer(value: unknown): value is PostgresServer {
  return typeof value === "object" && value !== null && "createDatabase" in value;
}

/** Ends all connections to a database but its own. */
async function endConnections(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
  } finally {
    await client.end();
  }
}
