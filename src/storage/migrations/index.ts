/**
 * Numbered migrations and how they run: in one transaction, under a lock, so that any number of processes may start at once
 * and a process killed half-way leaves nothing half-done. They are imported by name, so that a bundle holds them too.
 */

import { sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import type { Database, Queries } from "../database.ts";
import { StorageError } from "../errors.ts";
import { createInitialTables } from "./001-init.ts";
import { indexUndeliveredShares } from "./002-undelivered-shares.ts";
import { indexOutboxBySender } from "./003-outbox-by-sender.ts";
import { createDomains } from "./004-domains.ts";
import { createPeerDomains } from "./005-peer-domains.ts";
import { type ColumnTypes, columnTypes } from "./column-types.ts";

type Steps = Readonly<Record<string, (db: Queries, types: ColumnTypes) => Promise<void>>>;

// Names are what a database remembers; they are never changed and sort in the order in which they run.
const STEPS: Steps = {
  "001-init": createInitialTables,
  "002-undelivered-shares": indexUndeliveredShares,
  "003-outbox-by-sender": indexOutboxBySender,
  "004-domains": createDomains,
  "005-peer-domains": createPeerDomains,
};

/**
 * Runs the migrations that a database has not seen.
 *
 * @throws StorageError `DATABASE_TOO_NEW` if it has seen one that this release does not know.
 */
export async function migrateToLatest(database: Database): Promise<void> {
  await database.write(async (trx) => {
    if (database.dialect === "postgres") await lockMigrations(trx);
    const migrator = new Migrator({ db: trx, provider: { getMigrations: async () => migrations(database) } });
    for (const name of await executedMigrations(trx)) {
      if (!(name in STEPS)) throw new StorageError("DATABASE_TOO_NEW");
    }
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
  });
}

function migrations(database: Database): Record<string, Migration> {
  const types = columnTypes(database.dialect);
  return Object.fromEntries(
    Object.entries(STEPS).map(([name, step]) => [name, { up: (db) => step(db, types) }]),
  );
}

/** SQLite's write transaction is a lock already; PostgreSQL's schema changes would run side by side. */
async function lockMigrations(trx: Queries): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('keypears migrations', 0))`.execute(trx);
}

async function executedMigrations(trx: Queries): Promise<readonly string[]> {
  const tables = await trx.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === "kysely_migration")) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(trx);
  return rows.map((row) => row.name);
}
