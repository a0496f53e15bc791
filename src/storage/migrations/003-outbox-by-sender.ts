/** What waits for a destination is found by sender, so that none of them has to wait behind one who sends a lot. */

import { type SqlBool, sql } from "kysely";
import type { Queries } from "../database.ts";

/** Makes the index of what waits, by destination and sender, the longest due first. */
export async function indexOutboxBySender(db: Queries): Promise<void> {
  await db.schema
    .createIndex("sent_shares_sender_due")
    .on("sent_shares")
    .columns(["destination", "account_id", "due_at", "id"])
    .where(sql<SqlBool>`due_at is not null`)
    .execute();
}
