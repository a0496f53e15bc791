/**
 * Sent shares: queued in the transaction that stores them, listed and deleted by their sender. `outbox-leases.ts` has what
 * the delivering side asks for.
 */

import { u64 } from "../crypto/bytes.ts";
import { acceptContact } from "./contacts.ts";
import {
  type Database,
  type LockedAccount,
  lockAccount,
  lockRows,
  type Queries,
  requireAccount,
} from "./database.ts";
import { announceShare, refreshDestination } from "./destinations.ts";
import { envelopeBytes, OPENING_COLUMNS, toEnvelopeColumns, toOpening } from "./envelopes.ts";
import { createOutboxLeases } from "./outbox-leases.ts";
import type { SentShareTable } from "./schema.ts";
import type { DeliveryRecord, OutboxStore, SentShareRecord } from "./stores.ts";

const DELIVERY_COLUMNS = [
  "sent_shares.state",
  "sent_shares.rejection_reason",
  "sent_shares.message",
  "sent_shares.attempts",
  "sent_shares.due_at",
  "sent_shares.updated_at",
] as const;

const SHARE_COLUMNS = [
  ...DELIVERY_COLUMNS,
  "sent_shares.share_id",
  "sent_shares.position",
  "sent_shares.sender",
  "sent_shares.sender_key_number",
  "sent_shares.recipient",
  "sent_shares.created_at",
  "sent_shares.expires_at",
  "sent_shares.ciphertext_bytes",
  "sent_shares.sent_at",
] as const;

type Enqueued = Awaited<ReturnType<OutboxStore["enqueue"]>>;
type Submission = Parameters<OutboxStore["enqueue"]>[0];

/** The sent shares of a database. */
export function createOutboxStore(database: Database): OutboxStore {
  return {
    ...createOutboxLeases(database),

    enqueue: (share) =>
      database.write(async (trx) => {
        const account = await requireAccount(database, trx, share.accountId);
        const earlier = await trx
          .selectFrom("sent_shares")
          .select(["id", "stamp_nonce", "deleted_at", ...DELIVERY_COLUMNS])
          .where("account_id", "=", share.accountId)
          .where("share_id", "=", share.envelope.shareId)
          .$call((query) => lockRows(database, query))
          .executeTakeFirst();
        if (earlier !== undefined) return enqueueAgain(database, trx, share, earlier);
        const bytes = envelopeBytes(share.envelope);
        if (account.stored_bytes + bytes > share.maxStoredBytes) return { kind: "over-quota" };
        return enqueueFirst(database, trx, share, account, bytes);
      }),

    status: (accountId, shareId) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("sent_shares")
          .select(DELIVERY_COLUMNS)
          .where("account_id", "=", accountId)
          .where("share_id", "=", shareId)
          .where("deleted_at", "=", 0)
          .executeTakeFirst();
        return row === undefined ? undefined : toDeliveryRecord(row);
      }),

    list: (accountId, { limit, before, undelivered }) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("sent_shares")
          .select(SHARE_COLUMNS)
          .where("account_id", "=", accountId)
          .where("deleted_at", "=", 0)
          .$if(before !== undefined, (query) => query.where("position", "<", before ?? 0))
          // What waits has a time, which is also what the index holds that this takes.
          .$if(undelivered === true, (query) => query.where("due_at", "is not", null))
          .orderBy("position", "desc")
          .limit(limit)
          .execute();
        return rows.map(toShareRecord);
      }),

    get: (accountId, shareId) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("sent_shares")
          .innerJoin("sent_envelopes", "sent_envelopes.id", "sent_shares.id")
          .innerJoin("key_sets", (join) =>
            join
              .onRef("key_sets.account_id", "=", "sent_shares.account_id")
              .onRef("key_sets.number", "=", "sent_shares.sender_key_number"),
          )
          .select(SHARE_COLUMNS)
          .select(OPENING_COLUMNS)
          .where("sent_shares.account_id", "=", accountId)
          .where("share_id", "=", shareId)
          .where("deleted_at", "=", 0)
          .executeTakeFirst();
        return row === undefined ? undefined : { share: toShareRecord(row), ...toOpening(row) };
      }),

    delete: (accountId, shareId, now) =>
      database.write((trx) => deleteSent(database, trx, accountId, shareId, now)),

    retry: (accountId, shareId, now) =>
      database.write((trx) =>
        changeQueued(database, trx, { accountId, shareId, now }, { due_at: now, updated_at: now }),
      ),

    cancel: (accountId, shareId, now) =>
      database.write(async (trx) => {
        const cancelled = { state: "CANCELLED", due_at: null, updated_at: now } as const;
        const changed = await changeQueued(database, trx, { accountId, shareId, now }, cancelled);
        return changed?.delivery;
      }),
  };
}

/** Stores a share that the sender has not sent before. */
async function enqueueFirst(
  database: Database,
  trx: Queries,
  { accountId, envelope, recipientDomain, stampNonce, now, maxContacts }: Submission,
  account: LockedAccount,
  bytes: number,
): Promise<Enqueued> {
  if (!(await acceptContact(trx, accountId, envelope.recipient, { now, maxContacts }))) {
    return { kind: "too-many-contacts" };
  }
  const position = account.last_position + 1;
  const row = await trx
    .insertInto("sent_shares")
    .values({
      account_id: accountId,
      position,
      ...toEnvelopeColumns(envelope),
      destination: recipientDomain,
      stored_bytes: bytes,
      sent_at: now,
      deleted_at: 0,
      stamp_nonce: stampNonce === undefined ? null : u64(stampNonce),
      ...queuedAt(now),
    })
    .returning(["id", ...DELIVERY_COLUMNS])
    .executeTakeFirstOrThrow();
  await trx
    .insertInto("sent_envelopes")
    .values({
      id: row.id,
      header: envelope.header,
      ciphertext: envelope.ciphertext,
      signature: envelope.signature,
    })
    .execute();
  await trx
    .updateTable("accounts")
    .set({ last_position: position, stored_bytes: account.stored_bytes + bytes })
    .where("id", "=", accountId)
    .execute();
  await announceShare(database, trx, recipientDomain, now);
  return { kind: "queued", delivery: toDeliveryRecord(row) };
}

/** The same share again: it brings back a copy that was deleted under way, and may try another stamp after a rejection. */
async function enqueueAgain(
  database: Database,
  trx: Queries,
  { accountId, envelope, recipientDomain, stampNonce, now, maxContacts }: Submission,
  earlier: DeliveryRow & Pick<SentShareTable, "stamp_nonce" | "deleted_at"> & { readonly id: number },
): Promise<Enqueued> {
  if (earlier.deleted_at !== 0) {
    await trx.updateTable("sent_shares").set({ deleted_at: 0 }).where("id", "=", earlier.id).execute();
  }
  const stamp = stampNonce === undefined ? null : u64(stampNonce);
  if (earlier.state !== "REJECTED" || stamp === null || equalOrNull(stamp, earlier.stamp_nonce)) {
    return { kind: "unchanged", delivery: toDeliveryRecord(earlier) };
  }
  if (!(await acceptContact(trx, accountId, envelope.recipient, { now, maxContacts }))) {
    return { kind: "too-many-contacts" };
  }
  const row = await trx
    .updateTable("sent_shares")
    .set({ stamp_nonce: stamp, ...queuedAt(now) })
    .where("id", "=", earlier.id)
    .returning(DELIVERY_COLUMNS)
    .executeTakeFirstOrThrow();
  await announceShare(database, trx, recipientDomain, now);
  return { kind: "queued", delivery: toDeliveryRecord(row) };
}

/** Changes a delivery if it is queued. Answers how it stands then, and where it goes; undefined if there is no such share. */
async function changeQueued(
  database: Database,
  trx: Queries,
  { accountId, shareId, now }: { accountId: number; shareId: Uint8Array; now: number },
  change: Partial<Pick<SentShareTable, "state" | "due_at" | "updated_at">>,
): Promise<{ delivery: DeliveryRecord; destination: string } | undefined> {
  if ((await lockAccount(database, trx, accountId)) === undefined) return undefined;
  const share = await trx
    .selectFrom("sent_shares")
    .select(["id", "destination", ...DELIVERY_COLUMNS])
    .where("account_id", "=", accountId)
    .where("share_id", "=", shareId)
    .where("deleted_at", "=", 0)
    .$call((query) => lockRows(database, query))
    .executeTakeFirst();
  if (share === undefined) return undefined;
  const { destination } = share;
  if (share.state !== "QUEUED") return { delivery: toDeliveryRecord(share), destination };
  await trx.updateTable("sent_shares").set(change).where("id", "=", share.id).execute();
  await refreshDestination(database, trx, destination, now);
  return { delivery: toDeliveryRecord({ ...share, ...change }), destination };
}

async function deleteSent(
  database: Database,
  trx: Queries,
  accountId: number,
  shareId: Uint8Array,
  now: number,
): Promise<{ existed: boolean; cancelled: boolean }> {
  const nothing = { existed: false, cancelled: false };
  if ((await lockAccount(database, trx, accountId)) === undefined) return nothing;
  const share = await trx
    .selectFrom("sent_shares")
    .select(["id", "state", "stored_bytes", "destination"])
    .where("account_id", "=", accountId)
    .where("share_id", "=", shareId)
    .where("deleted_at", "=", 0)
    .$call((query) => lockRows(database, query))
    .executeTakeFirst();
  if (share === undefined) return nothing;
  if (share.state === "DELIVERING") {
    // The peer may have it already. The bytes count until they are gone, or deleting would be a way around the quota.
    await trx.updateTable("sent_shares").set({ deleted_at: now }).where("id", "=", share.id).execute();
    return { existed: true, cancelled: false };
  }
  await trx.deleteFrom("sent_shares").where("id", "=", share.id).execute();
  await trx
    .updateTable("accounts")
    .set((eb) => ({ stored_bytes: eb("stored_bytes", "-", share.stored_bytes) }))
    .where("id", "=", accountId)
    .execute();
  await refreshDestination(database, trx, share.destination, now);
  return { existed: true, cancelled: share.state === "QUEUED" };
}

function queuedAt(now: number) {
  return {
    state: "QUEUED",
    rejection_reason: 0,
    message: "",
    attempts: 0,
    due_at: now,
    lease_token: null,
    updated_at: now,
  } as const;
}

function equalOrNull(a: Uint8Array, b: Uint8Array | null): boolean {
  return b !== null && a.length === b.length && a.every((byte, i) => byte === b[i]);
}

type DeliveryRow = Pick<
  SentShareTable,
  "state" | "rejection_reason" | "message" | "attempts" | "due_at" | "updated_at"
>;

function toDeliveryRecord(row: DeliveryRow): DeliveryRecord {
  return {
    state: row.state,
    rejectionReason: row.rejection_reason,
    message: row.message,
    attempts: row.attempts,
    nextAttemptAt: row.state === "QUEUED" ? (row.due_at ?? 0) : 0,
    updatedAt: row.updated_at,
  };
}

function toShareRecord(
  row: DeliveryRow &
    Pick<
      SentShareTable,
      | "share_id"
      | "position"
      | "sender"
      | "sender_key_number"
      | "recipient"
      | "created_at"
      | "expires_at"
      | "ciphertext_bytes"
      | "sent_at"
    >,
): SentShareRecord {
  return {
    shareId: row.share_id,
    position: row.position,
    sender: row.sender,
    senderKeyNumber: row.sender_key_number,
    recipient: row.recipient,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    ciphertextBytes: row.ciphertext_bytes,
    sentAt: row.sent_at,
    delivery: toDeliveryRecord(row),
  };
}
