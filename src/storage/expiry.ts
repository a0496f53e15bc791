/**
 * Removes what has run out, a bounded number of rows of each kind at a time, so that no transaction is long. Several nodes
 * may sweep one database: on PostgreSQL each leaves out what another has in hand.
 */

import { FIRST_CONTACT_WINDOW_MS } from "./contacts.ts";
import { type Database, lockAccounts, lockFreeRows, type Queries } from "./database.ts";
import { purgeLeftovers } from "./purge.ts";
import { removeReceivedShares } from "./received-removal.ts";

/** Removes up to `limit` rows of each kind that have run out by `now`. Answers how many went. */
export async function deleteExpired(database: Database, now: number, limit: number): Promise<number> {
  const removals = [
    deleteExpiredShares,
    deleteExpiredTombstones,
    deletePastFirstContacts,
    deleteExpiredRequests,
    deleteExpiredChallenges,
  ];
  let removed = await purgeLeftovers(database);
  for (const remove of removals) removed += await database.write((trx) => remove(database, trx, now, limit));
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

async function deleteExpiredTombstones(
  database: Database,
  trx: Queries,
  now: number,
  limit: number,
): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("tombstones")
    .where((eb) =>
      eb(
        eb.refTuple("account_id", "share_id"),
        "in",
        eb
          .selectFrom("tombstones")
          .select(["account_id", "share_id"])
          .where("expires_at", "<=", now)
          .orderBy("expires_at")
          .limit(limit)
          .$call((query) => lockFreeRows(database, query))
          .$asTuple("account_id", "share_id"),
      ),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

async function deletePastFirstContacts(
  database: Database,
  trx: Queries,
  now: number,
  limit: number,
): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("first_contacts")
    .where("id", "in", (eb) =>
      eb
        .selectFrom("first_contacts")
        .select("id")
        .where("accepted_at", "<=", now - FIRST_CONTACT_WINDOW_MS)
        .orderBy("accepted_at")
        .limit(limit)
        .$call((query) => lockFreeRows(database, query)),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

async function deleteExpiredRequests(
  database: Database,
  trx: Queries,
  now: number,
  limit: number,
): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("requests")
    .where((eb) =>
      eb(
        eb.refTuple("account_id", "request_id"),
        "in",
        eb
          .selectFrom("requests")
          .select(["account_id", "request_id"])
          .where("expires_at", "<=", now)
          .orderBy("expires_at")
          .limit(limit)
          .$call((query) => lockFreeRows(database, query))
          .$asTuple("account_id", "request_id"),
      ),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

async function deleteExpiredChallenges(
  database: Database,
  trx: Queries,
  now: number,
  limit: number,
): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("spent_challenges")
    .where("id", "in", (eb) =>
      eb
        .selectFrom("spent_challenges")
        .select("id")
        .where("expires_at", "<=", now)
        .orderBy("expires_at")
        .limit(limit)
        .$call((query) => lockFreeRows(database, query)),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
