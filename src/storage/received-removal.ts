/** Removing received shares, and with them the key sets of senders that nothing refers to any more. */

import { type Database, type Queries, slices } from "./database.ts";

const ROWS_PER_STATEMENT = 500;

/** A share to be removed. */
export interface RemovableShare {
  readonly id: number;
  readonly sender_key_set_hash: Uint8Array;
}

/** Deletes rows, their envelopes and unused sender key sets. The quota is the caller's business, and so are locks. */
export async function removeReceivedShares(
  database: Database,
  trx: Queries,
  shares: readonly RemovableShare[],
): Promise<void> {
  for (const slice of slices(shares, ROWS_PER_STATEMENT)) {
    const ids = slice.map(({ id }) => id);
    // Envelopes go with their rows, by their foreign key.
    await trx.deleteFrom("received_shares").where("id", "in", ids).execute();
    await removeUnusedSenderKeySets(
      database,
      trx,
      slice.map((share) => share.sender_key_set_hash),
    );
  }
}

async function removeUnusedSenderKeySets(
  database: Database,
  trx: Queries,
  hashes: readonly Uint8Array[],
): Promise<void> {
  if (database.dialect === "postgres") {
    // Whoever is accepting a share of such a sender holds the row with a weaker lock. Waiting for it here lets the next
    // statement, which sees what was committed by then, find that share.
    await trx
      .selectFrom("sender_key_sets")
      .select("hash")
      .where("hash", "in", hashes)
      .orderBy("hash")
      .forUpdate()
      .execute();
  }
  await trx
    .deleteFrom("sender_key_sets")
    .where("hash", "in", hashes)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("received_shares")
            .select("received_shares.id")
            .whereRef("received_shares.sender_key_set_hash", "=", "sender_key_sets.hash"),
        ),
      ),
    )
    .execute();
}
