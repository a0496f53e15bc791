/** What a sender still waits for is listed without a look at everything that was ever sent. */

import { type SqlBool, sql } from "kysely";
import type { Queries } from "../database.ts";

/** Makes the index of deliveries under way by account, in the order in which they are listed. */
export async function indexUndeliveredShares(db: Queries): Promise<void> {
  await db.schema
    .createIndex("sent_shares_undelivered")
    .on("sent_shares")
    .columns(["account_id", "position"])
    .where(sql<SqlBool>`due_at is not null`)
    .execute();
}
