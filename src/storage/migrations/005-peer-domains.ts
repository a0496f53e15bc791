/** What other domains have proven, which all nodes of a database hold them to. */

import { type SqlBool, sql } from "kysely";
import type { Queries } from "../database.ts";
import type { ColumnTypes } from "./column-types.ts";

/** Makes the table, with an index for what runs out and one for keys that wait. */
export async function createPeerDomains(db: Queries, types: ColumnTypes): Promise<void> {
  const { integer, text } = types;
  await db.schema
    .createTable("peer_domains")
    .addColumn("domain", text, (column) => column.primaryKey())
    .addColumn("revision", integer, (column) => column.notNull())
    .addColumn("key_hash", text, (column) => column.notNull())
    .addColumn("serial", integer, (column) => column.notNull())
    .addColumn("body_hash", text, (column) => column.notNull())
    .addColumn("txt_seen", integer, (column) => column.notNull())
    .addColumn("proven_at", integer, (column) => column.notNull())
    .addColumn("pending_key_hash", text, (column) => column.notNull())
    .addColumn("pending_since", integer, (column) => column.notNull())
    .addColumn("pending_last_seen", integer, (column) => column.notNull())
    .$call(types.table)
    .execute();
  await db.schema.createIndex("peer_domains_proven").on("peer_domains").column("proven_at").execute();
  await db.schema
    .createIndex("peer_domains_waiting")
    .on("peer_domains")
    .column("pending_last_seen")
    .where(sql<SqlBool>`pending_last_seen > 0`)
    .execute();
}
