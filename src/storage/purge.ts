/**
 * Removes what deleted accounts leave: their shares may be a million, so they go in many short transactions. A process
 * killed in between leaves the account marked, and whoever sweeps next goes on.
 */

import { type Database, lockRows, type Queries } from "./database.ts";
import { refreshDestination } from "./destinations.ts";
import { removeReceivedShares } from "./received-removal.ts";

const ROWS_AT_ONCE = 500;

/** Removes the shares and tombstones of an account that was deleted. */
export async function purgeAccount(database: Database, accountId: number): Promise<void> {
  while ((await database.write((trx) => purgeSome(database, trx, accountId))) > 0);
}

/** Goes on with accounts whose purge was interrupted, one step of one account. Answers how many rows went. */
export async function purgeLeftovers(database: Database): Promise<number> {
  return database.write(async (trx) => {
    const account = await trx
      .selectFrom("accounts")
      .select("id")
      .where("purging", "=", 1)
      .limit(1)
      .executeTakeFirst();
    return account === undefined ? 0 : purgeSome(database, trx, account.id);
  });
}

async function purgeSome(database: Database, trx: Queries, accountId: number): Promise<number> {
  const account = await trx
    .selectFrom("accounts")
    .select("id")
    .where("id", "=", accountId)
    .where("purging", "=", 1)
    .$call((query) => lockRows(database, query))
    .executeTakeFirst();
  if (account === undefined) return 0;
  const removed =
    (await purgeReceived(database, trx, accountId)) +
    (await purgeTombstones(trx, accountId)) +
    (await purgeSent(database, trx, accountId));
  if (removed === 0)
    await trx.updateTable("accounts").set({ purging: 0 }).where("id", "=", accountId).execute();
  return removed;
}

async function purgeReceived(database: Database, trx: Queries, accountId: number): Promise<number> {
  const shares = await trx
    .selectFrom("received_shares")
    .select(["id", "sender_key_set_hash"])
    .where("account_id", "=", accountId)
    .limit(ROWS_AT_ONCE)
    .execute();
  await removeReceivedShares(database, trx, shares);
  return shares.length;
}

async function purgeTombstones(trx: Queries, accountId: number): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("tombstones")
    .where("account_id", "=", accountId)
    .where("share_id", "in", (eb) =>
      eb.selectFrom("tombstones").select("share_id").where("account_id", "=", accountId).limit(ROWS_AT_ONCE),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

/** What is on its way goes on unseen; its row goes when that has ended. */
async function purgeSent(database: Database, trx: Queries, accountId: number): Promise<number> {
  const underWay = await trx
    .updateTable("sent_shares")
    .set((eb) => ({ deleted_at: eb.ref("updated_at") }))
    .where("account_id", "=", accountId)
    .where("state", "=", "DELIVERING")
    .where("deleted_at", "=", 0)
    .executeTakeFirstOrThrow();
  const removed = await trx
    .deleteFrom("sent_shares")
    .where("id", "in", (eb) =>
      eb
        .selectFrom("sent_shares")
        .select("id")
        .where("account_id", "=", accountId)
        .where("state", "<>", "DELIVERING")
        .limit(ROWS_AT_ONCE),
    )
    .where("state", "<>", "DELIVERING")
    .returning(["destination", "due_at"])
    .execute();
  const cancelled = removed.filter((share) => share.due_at !== null).map((share) => share.destination);
  const now = await database.now(trx);
  // In one order, so that two of these never wait for each other.
  for (const destination of [...new Set(cancelled)].sort()) {
    await refreshDestination(database, trx, destination, now);
  }
  return Number(underWay.numUpdatedRows) + removed.length;
}
