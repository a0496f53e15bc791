/**
 * Removes what has run out, a bounded number of rows of each kind at a time, so that no transaction is long. Several nodes
 * may sweep one database: on PostgreSQL each leaves out what another has in hand.
 */

import { sql } from "kysely";
import { DOMAIN_MEMORY_MS } from "../protocol/limits.ts";
import { FIRST_CONTACT_WINDOW_MS } from "./contacts.ts";
import { type Database, lockAccounts, type Queries } from "./database.ts";
import { IDLE_DESTINATION_MS } from "./destinations.ts";
import { purgeLeftovers } from "./purge.ts";
import { removeReceivedShares } from "./received-removal.ts";
import type { Schema } from "./schema.ts";

/** Removes up to `limit` rows of each kind that have run out by `now`. Answers how many went. */
export async function deleteExpired(database: Database, now: number, limit: number): Promise<number> {
  let removed = await purgeLeftovers(database);
  removed += await database.write((trx) => deleteExpiredShares(database, trx, now, limit));
  for (const lapsing of LAPSING) {
    removed += await database.write((trx) => deleteLapsed(database, trx, lapsing, now, limit));
  }
  return removed;
}

async function deleteExpiredShares(
  database: Database,
  trx: Queries,
  now: number,
  limit: number,
): Promise<number> {
  const expired = await trx
    .selectFrom("received_shares")
    .select(["id", "account_id"])
    .where("expires_at", ">", 0)
    .where("expires_at", "<=", now)
    .orderBy("expires_at")
    .limit(limit)
    .execute();
  if (expired.length === 0) return 0;
  const accounts = await lockAccounts(
    database,
    trx,
    expired.map((share) => share.account_id),
  );
  // Those of deleted accounts are purged elsewhere.
  const ids = expired.filter((share) => accounts.has(share.account_id)).map(({ id }) => id);
  if (ids.length === 0) return 0;
  // Read again now that nobody else can delete them.
  const shares = await trx
    .selectFrom("received_shares")
    .select(["id", "account_id", "stored_bytes", "sender_key_set_hash"])
    .where("id", "in", ids)
    .execute();
  await removeReceivedShares(database, trx, shares);
  for (const account of accounts.values()) {
    const bytes = shares
      .filter((share) => share.account_id === account.id)
      .reduce((sum, share) => sum + share.stored_bytes, 0);
    await trx
      .updateTable("accounts")
      .set((eb) => ({ stored_bytes: eb("stored_bytes", "-", bytes) }))
      .where("id", "=", account.id)
      .execute();
  }
  return shares.length;
}

/** Kinds of rows that run out on their own: what tells one from another, and how long after a time they go. */
interface Lapsing {
  readonly table: keyof Schema;
  readonly key: readonly string[];
  readonly since: string;
  readonly keptMs: number;
}

const LAPSING: readonly Lapsing[] = [
  { table: "tombstones", key: ["account_id", "share_id"], since: "expires_at", keptMs: 0 },
  { table: "first_contacts", key: ["id"], since: "accepted_at", keptMs: FIRST_CONTACT_WINDOW_MS },
  { table: "requests", key: ["account_id", "request_id"], since: "expires_at", keptMs: 0 },
  { table: "spent_challenges", key: ["id"], since: "expires_at", keptMs: 0 },
  { table: "invitations", key: ["id"], since: "expires_at", keptMs: 0 },
  { table: "outbox_destinations", key: ["destination"], since: "idle_since", keptMs: IDLE_DESTINATION_MS },
  { table: "peer_domains", key: ["domain"], since: "proven_at", keptMs: DOMAIN_MEMORY_MS },
];

async function deleteLapsed(
  database: Database,
  trx: Queries,
  { table, key, since, keptMs }: Lapsing,
  now: number,
  limit: number,
): Promise<number> {
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const skipLocked = database.dialect === "postgres" ? sql`for no key update skip locked` : sql``;
  const lapsed = sql`
    select ${columns} from ${sql.table(table)} where ${sql.ref(since)} <= ${now - keptMs}
    order by ${sql.ref(since)} limit ${limit} ${skipLocked}`;
  const { numAffectedRows } =
    await sql`delete from ${sql.table(table)} where (${columns}) in (${lapsed})`.execute(trx);
  return Number(numAffectedRows);
}
