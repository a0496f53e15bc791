/** Domains that are hosted for their owners: claims, invitations, suspended accounts, the audit log; and the node's keys. */

import { type SqlBool, sql } from "kysely";
import type { Queries } from "../database.ts";
import type { ColumnTypes } from "./column-types.ts";

/** Makes their tables. */
export async function createDomains(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text, bytes } = types;
  await db.schema
    .createTable("hosted_domains")
    .addColumn("domain", text, (column) => column.primaryKey())
    .addColumn("administrator", text, (column) => column.notNull())
    .addColumn("state", text, (column) => column.notNull())
    .addColumn("registration_mode", text, (column) => column.notNull())
    .addColumn("consent", bytes, (column) => column.notNull())
    .addColumn("domain_key_hash", bytes, (column) => column.notNull())
    .addColumn("serial", integer, (column) => column.notNull())
    .addColumn("not_after", integer, (column) => column.notNull())
    .addColumn("min_serial", integer, (column) => column.notNull())
    .addColumn("checks", text, (column) => column.notNull())
    .addColumn("checked_at", integer, (column) => column.notNull())
    .addColumn("failing_since", integer, (column) => column.notNull())
    .addColumn("next_check_at", integer, (column) => column.notNull())
    .addColumn("claimed_at", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  // The domains of an administrator, by name; which ones are to be checked.
  await createIndex(db, "hosted_domains_administrator", "hosted_domains", ["administrator", "domain"]);
  await createIndex(db, "hosted_domains_due", "hosted_domains", ["next_check_at"]);

  await db.schema
    .createTable("invitations")
    .addColumn("id", text, (column) => column.primaryKey())
    .addColumn("domain", text, (column) => column.notNull().references("hosted_domains.domain"))
    .addColumn("name", text, (column) => column.notNull())
    .addColumn("code_hash", bytes, (column) => column.notNull().unique())
    .addColumn("created_at", integer, (column) => column.notNull())
    .addColumn("expires_at", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  await createIndex(db, "invitations_domain", "invitations", ["domain", "created_at", "id"]);
  await createIndex(db, "invitations_expiry", "invitations", ["expires_at"]);

  await db.schema
    .createTable("audit_records")
    .addColumn("domain", text, (column) => column.notNull())
    .addColumn("sequence", integer, (column) => column.notNull())
    .addColumn("body", bytes, (column) => column.notNull())
    .addColumn("hash", bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint("audit_records_key", ["domain", "sequence"])
    .$call(types.keyedTable)
    .execute();
  await types.refuseChanges(db, "audit_records");

  await db.schema
    .createTable("node_keys")
    .addColumn("number", integer, (column) => column.primaryKey())
    .addColumn("secret_key", bytes, (column) => column.notNull())
    .addColumn("active_from", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();

  await db.schema
    .alterTable("accounts")
    .addColumn("suspended_at", integer, (column) => column.notNull().defaultTo(0))
    .execute();
  // The accounts of a domain, by address.
  await createIndex(db, "accounts_domain", "accounts", ["domain", "address"], sql<SqlBool>`deleted_at = 0`);
}

async function createIndex(
  db: Queries,
  name: string,
  table: string,
  columns: string[],
  where?: ReturnType<typeof sql<SqlBool>>,
): Promise<void> {
  const index = db.schema.createIndex(name).on(table).columns(columns);
  await (where === undefined ? index : index.where(where)).execute();
}
