/** Challenges that were used: each one is good once, in the transaction of what it was asked for. */

import type { Queries } from "./database.ts";

/** Spends a challenge. False if it was spent before. */
export async function spendChallenge(
  trx: Queries,
  challenge: { readonly id: Uint8Array; readonly expiresAt: number },
): Promise<boolean> {
  const spent = await trx
    .insertInto("spent_challenges")
    .values({ id: challenge.id, expires_at: challenge.expiresAt })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .returning("id")
    .executeTakeFirst();
  return spent !== undefined;
}
