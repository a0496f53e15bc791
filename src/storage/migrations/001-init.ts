/**
 * The first tables. Each index stands beside its table with the question that it answers; those over the outbox and over
 * expiry are partial, so that rows that wait for nothing cost nothing.
 */

import { type Expression, type SqlBool, sql } from "kysely";
import type { Queries } from "../database.ts";
import type { ColumnTypes } from "./column-types.ts";

/** Makes them. */
export async function createInitialTables(db: Queries, types: ColumnTypes): Promise<void> {
  await createAccounts(db, types);
  await createSessions(db, types);
  await createKeySets(db, types);
  await createContacts(db, types);
  await createNoticesAndRequests(db, types);
  await createReceivedShares(db, types);
  await createSentShares(db, types);
  const { text, bytes } = types;
  await db.schema
    .createTable("secrets")
    .addColumn("name", text, (column) => column.primaryKey())
    .addColumn("value", bytes, (column) => column.notNull())
    .$call(types.table)
    .execute();
}

async function createAccounts(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("accounts")
    .addColumn("id", integer, types.numbered)
    .addColumn("address", text, (column) => column.notNull().unique())
    .addColumn("domain", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("deleted_at", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("purging", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("active_key_number", integer, (column) => column.notNull())
    .addColumn("password_salt", bytes, (column) => column.notNull())
    .addColumn("password_memory_kib", integer, (column) => column.notNull())
    .addColumn("password_passes", integer, (column) => column.notNull())
    .addColumn("password_lanes", integer, (column) => column.notNull())
    .addColumn("login_verifier", bytes, (column) => column.notNull())
    .addColumn("wrapped_account_key", bytes, (column) => column.notNull())
    .addColumn("wrap_number", integer, (column) => column.notNull())
    .addColumn("stored_bytes", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("last_sequence", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("last_position", integer, (column) => column.notNull().defaultTo(0))
    .$call(types.table)
    .execute();
  await createIndex(db, "accounts_purging", "accounts", ["id"], sql<SqlBool>`purging = 1`);
  await db.schema
    .createTable("spent_challenges")
    .addColumn("id", bytes, (column) => column.primaryKey())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  await createIndex(db, "spent_challenges_expiry", "spent_challenges", ["expires_at"]);
}

async function createSessions(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("sessions")
    .addColumn("id", text, (column) => column.primaryKey())
    .addColumn("token_hash", bytes, (column) => column.notNull().unique())
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("device_name", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("last_used_at", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  // A page of an account's sessions.
  await createIndex(db, "sessions_account", "sessions", ["account_id", "created_at", "id"]);
}

async function createKeySets(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, bytes } = types;
  await db.schema
    .createTable("key_sets")
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("number", integer, (column) => column.notNull())
    .addColumn("body", bytes, (column) => column.notNull())
    .addColumn("hash", bytes, (column) => column.notNull())
    .addColumn("self_signature", bytes, (column) => column.notNull())
    .addColumn("continuity_signature", bytes, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("revokes_previous", integer, (column) => column.notNull())
    .addColumn("published_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("key_sets_key", ["account_id", "number"])
    .$call(types.table)
    .execute();
  await db.schema
    .createTable("sealed_key_sets")
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("number", integer, (column) => column.notNull())
    .addColumn("ed25519", bytes, (column) => column.notNull())
    .addColumn("x25519", bytes, (column) => column.notNull())
    .addColumn("ml_dsa_65", bytes, (column) => column.notNull())
    .addColumn("ml_kem_768", bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint("sealed_key_sets_key", ["account_id", "number"])
    .$call(types.table)
    .execute();
}

async function createContacts(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("sealed_contacts")
    .addColumn("account_id", integer, (column) => column.primaryKey().references("accounts.id"))
    .addColumn("version", integer, (column) => column.notNull())
    .addColumn("sealed", bytes, (column) => column.notNull())
    .addColumn("updated_at", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  await db.schema
    .createTable("contacts")
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("address", text, (column) => column.notNull())
    .addColumn("state", text, (column) => column.notNull())
    .addColumn("updated_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("contacts_key", ["account_id", "address"])
    .$call(types.keyedTable)
    .execute();
  await db.schema
    .createTable("first_contacts")
    .addColumn("id", integer, types.numbered)
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("sender_domain", text, (column) => column.notNull())
    .addColumn("accepted_at", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  // How many a domain had with an account in a day.
  const counted = ["account_id", "sender_domain", "accepted_at"];
  await createIndex(db, "first_contacts_count", "first_contacts", counted);
  await createIndex(db, "first_contacts_expiry", "first_contacts", ["accepted_at"]);
}

async function createNoticesAndRequests(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("notices")
    .addColumn("id", integer, types.numbered)
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("kind", integer, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("device_name", text, (column) => column.notNull())
    .addColumn("key_set_number", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  await createIndex(db, "notices_account", "notices", ["account_id", "id"]);
  await db.schema
    .createTable("requests")
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("request_id", text, (column) => column.notNull())
    .addColumn("method", text, (column) => column.notNull())
    .addColumn("fingerprint", bytes, (column) => column.notNull())
    .addColumn("result", text, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("requests_key", ["account_id", "request_id"])
    .$call(types.keyedTable)
    .execute();
  await createIndex(db, "requests_expiry", "requests", ["expires_at"]);
}

async function createReceivedShares(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("sender_key_sets")
    .addColumn("hash", bytes, (column) => column.primaryKey())
    .addColumn("body", bytes, (column) => column.notNull())
    .addColumn("self_signature", bytes, (column) => column.notNull())
    .addColumn("continuity_signature", bytes, (column) => column.notNull())
    .$call(types.table)
    .execute();
  await db.schema
    .createTable("received_shares")
    .addColumn("id", integer, types.numbered)
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("sequence", integer, (column) => column.notNull())
    .addColumn("share_id", bytes, (column) => column.notNull())
    .addColumn("sender", text, (column) => column.notNull())
    .addColumn("recipient", text, (column) => column.notNull())
    .addColumn("sender_key_number", integer, (column) => column.notNull())
    .addColumn("sender_key_set_hash", bytes, (column) => column.notNull().references("sender_key_sets.hash"))
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .addColumn("ciphertext_bytes", integer, (column) => column.notNull())
    .addColumn("stored_bytes", integer, (column) => column.notNull())
    .addColumn("received_at", integer, (column) => column.notNull())
    .addColumn("opened_at", integer, (column) => column.notNull().defaultTo(0))
    // Pages of an inbox in either direction; and one share by its id.
    .addUniqueConstraint("received_shares_sequence", ["account_id", "sequence"])
    .addUniqueConstraint("received_shares_share", ["account_id", "share_id"])
    .$call(types.table)
    .execute();
  await createIndex(
    db,
    "received_shares_expiry",
    "received_shares",
    ["expires_at"],
    sql<SqlBool>`expires_at > 0`,
  );
  // Whether a sender's key set is still needed.
  await createIndex(db, "received_shares_sender", "received_shares", ["sender_key_set_hash"]);
  await createEnvelopes(db, types, "received_envelopes", "received_shares");
  await db.schema
    .createTable("tombstones")
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("share_id", bytes, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .addPrimaryKeyConstraint("tombstones_key", ["account_id", "share_id"])
    .$call(types.keyedTable)
    .execute();
  await createIndex(db, "tombstones_expiry", "tombstones", ["expires_at"]);
}

async function createSentShares(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("sent_shares")
    .addColumn("id", integer, types.numbered)
    .addColumn("account_id", integer, (column) => column.notNull().references("accounts.id"))
    .addColumn("position", integer, (column) => column.notNull())
    .addColumn("share_id", bytes, (column) => column.notNull())
    .addColumn("sender", text, (column) => column.notNull())
    .addColumn("sender_key_number", integer, (column) => column.notNull())
    .addColumn("recipient", text, (column) => column.notNull())
    .addColumn("destination", text, (column) => column.notNull())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .addColumn("ciphertext_bytes", integer, (column) => column.notNull())
    .addColumn("stored_bytes", integer, (column) => column.notNull())
    .addColumn("sent_at", integer, (column) => column.notNull())
    .addColumn("deleted_at", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("stamp_nonce", bytes)
    .addColumn("state", text, (column) => column.notNull())
    .addColumn("rejection_reason", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("message", text, (column) => column.notNull().defaultTo(""))
    .addColumn("attempts", integer, (column) => column.notNull().defaultTo(0))
    .addColumn("due_at", integer)
    .addColumn("lease_token", text)
    .addColumn("updated_at", integer, (column) => column.notNull())
    // Pages of sent shares; and one share by its id.
    .addUniqueConstraint("sent_shares_position", ["account_id", "position"])
    .addUniqueConstraint("sent_shares_share", ["account_id", "share_id"])
    .$call(types.table)
    .execute();
  const waiting = sql<SqlBool>`due_at is not null`;
  // What is due for a destination, oldest first.
  await createIndex(db, "sent_shares_due", "sent_shares", ["destination", "due_at", "id"], waiting);
  await createIndex(
    db,
    "sent_shares_lease",
    "sent_shares",
    ["lease_token"],
    sql<SqlBool>`lease_token is not null`,
  );
  await createEnvelopes(db, types, "sent_envelopes", "sent_shares");
  await db.schema
    .createTable("outbox_destinations")
    .addColumn("destination", text, (column) => column.primaryKey())
    .addColumn("standing", text, (column) => column.notNull())
    .addColumn("due_at", integer)
    .addColumn("idle_since", integer)
    .$call(types.keyedTable)
    .execute();
  // Which destinations of a standing have something due, oldest first; when the next is due at all.
  const due = ["standing", "due_at", "destination"];
  await createIndex(db, "outbox_destinations_due", "outbox_destinations", due, waiting);
  await createIndex(db, "outbox_destinations_next_due", "outbox_destinations", ["due_at"], waiting);
  await createIndex(
    db,
    "outbox_destinations_idle",
    "outbox_destinations",
    ["idle_since"],
    sql<SqlBool>`idle_since is not null`,
  );
}

async function createEnvelopes(db: Queries, types: ColumnTypes, name: string, shares: string): Promise<void> {
  const { integer, bytes } = types;
  await db.schema
    .createTable(name)
    .addColumn("id", integer, (column) => column.primaryKey().references(`${shares}.id`).onDelete("cascade"))
    .addColumn("header", bytes, (column) => column.notNull())
    .addColumn("ciphertext", bytes, (column) => column.notNull())
    .addColumn("signature", bytes, (column) => column.notNull())
    .$call(types.table)
    .execute();
}

async function createIndex(
  db: Queries,
  name: string,
  table: string,
  columns: readonly string[],
  where?: Expression<SqlBool>,
): Promise<void> {
  const index = db.schema
    .createIndex(name)
    .on(table)
    .columns([...columns]);
  await (where === undefined ? index : index.where(where)).execute();
}
