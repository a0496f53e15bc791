/** The inbox: pages of received shares, their bytes, and what their owner does with them. Accepting is in `acceptance.ts`. */

import { acceptEnvelopes } from "./acceptance.ts";
import { type Database, lockAccount, type Queries } from "./database.ts";
import { readDeliveryFacts } from "./delivery-facts.ts";
import { OPENING_COLUMNS, toOpening } from "./envelopes.ts";
import { deleteExpired } from "./expiry.ts";
import { removeReceivedShares } from "./received-removal.ts";
import type { ReceivedShareTable } from "./schema.ts";
import type { ReceivedShareRecord, ReceivedShareStore } from "./stores.ts";

const SHARE_COLUMNS = [
  "received_shares.share_id",
  "received_shares.sequence",
  "received_shares.sender",
  "received_shares.recipient",
  "received_shares.sender_key_number",
  "received_shares.sender_key_set_hash",
  "received_shares.created_at",
  "received_shares.expires_at",
  "received_shares.ciphertext_bytes",
  "received_shares.received_at",
  "received_shares.opened_at",
] as const;

/** The received shares of a database. */
export function createReceivedShareStore(database: Database): ReceivedShareStore {
  return {
    deliveryFacts: (questions) => readDeliveryFacts(database, questions),

    accept: async (acceptances) =>
      acceptances.length === 0 ? [] : database.write((trx) => acceptEnvelopes(database, trx, acceptances)),

    list: (accountId, { limit, before, now }) =>
      database.read(async (queries) => {
        const rows = await selectLive(queries, accountId, now)
          .$if(before !== undefined, (query) => query.where("sequence", "<", before ?? 0))
          .orderBy("sequence", "desc")
          .limit(limit)
          .execute();
        return rows.map(toShareRecord);
      }),

    after: (accountId, { after, limit, now }) =>
      database.read(async (queries) => {
        const rows = await selectLive(queries, accountId, now)
          .where("sequence", ">", after)
          .orderBy("sequence")
          .limit(limit)
          .execute();
        return rows.map(toShareRecord);
      }),

    get: (accountId, shareId, now) =>
      database.read(async (queries) => {
        const row = await selectLive(queries, accountId, now)
          .innerJoin("received_envelopes", "received_envelopes.id", "received_shares.id")
          .innerJoin("sender_key_sets", "sender_key_sets.hash", "received_shares.sender_key_set_hash")
          .select(OPENING_COLUMNS)
          .where("share_id", "=", shareId)
          .executeTakeFirst();
        return row === undefined ? undefined : { share: toShareRecord(row), ...toOpening(row) };
      }),

    markOpened: (accountId, shareId, now) =>
      database.write(async (trx) => {
        // One statement, so that of two devices the first one's time stays.
        const row = await trx
          .updateTable("received_shares")
          .set((eb) => ({
            opened_at: eb.case().when("opened_at", "=", 0).then(now).else(eb.ref("opened_at")).end(),
          }))
          .where("account_id", "=", accountId)
          .where("share_id", "=", shareId)
          .where((eb) => eb.or([eb("expires_at", "=", 0), eb("expires_at", ">", now)]))
          .returning("opened_at")
          .executeTakeFirst();
        return row?.opened_at;
      }),

    delete: (accountId, shareId) =>
      database.write(async (trx) => {
        if ((await lockAccount(database, trx, accountId)) === undefined) return false;
        const share = await trx
          .selectFrom("received_shares")
          .select(["id", "stored_bytes", "sender_key_set_hash"])
          .where("account_id", "=", accountId)
          .where("share_id", "=", shareId)
          .executeTakeFirst();
        if (share === undefined) return false;
        await removeReceivedShares(database, trx, [share]);
        await trx
          .updateTable("accounts")
          .set((eb) => ({ stored_bytes: eb("stored_bytes", "-", share.stored_bytes) }))
          .where("id", "=", accountId)
          .execute();
        return true;
      }),

    deleteExpired: (now, limit) => deleteExpired(database, now, limit),
  };
}

function selectLive(queries: Queries, accountId: number, now: number) {
  return queries
    .selectFrom("received_shares")
    .select(SHARE_COLUMNS)
    .where("account_id", "=", accountId)
    .where((eb) => eb.or([eb("expires_at", "=", 0), eb("expires_at", ">", now)]));
}

function toShareRecord(
  row: Omit<ReceivedShareTable, "id" | "account_id" | "stored_bytes">,
): ReceivedShareRecord {
  return {
    shareId: row.share_id,
    sequence: row.sequence,
    sender: row.sender,
    recipient: row.recipient,
    senderKeyNumber: row.sender_key_number,
    senderKeySetHash: row.sender_key_set_hash,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    ciphertextBytes: row.ciphertext_bytes,
    receivedAt: row.received_at,
    openedAt: row.opened_at,
  };
}
