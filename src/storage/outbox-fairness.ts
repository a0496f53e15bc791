/**
 * Whose shares are taken next of all that wait for one destination: a few of each sender, by turns, whoever has how many.
 * Senders are found one after another by a seek each in one index, so that it costs what is taken and not what waits.
 */

import { sql } from "kysely";
import { LRUCache } from "lru-cache";
import type { Queries } from "./database.ts";

/** Turns of senders, by destination. */
export interface SenderTurns {
  /**
   * Ids of up to `limit` shares that are due at `at`, as many of each of the senders whose turn it is, the longest due of
   * each first. Senders whose shares wait for a later time have turns too, so none may be found although some are due.
   */
  next(
    trx: Queries,
    request: { readonly destination: string; readonly at: number; readonly limit: number },
  ): Promise<readonly number[]>;
}

/** Senders that have a turn at once. */
const MAX_SENDERS = 32;
/** Destinations whose turns are remembered; a forgotten one begins again with the first sender. */
const MAX_DESTINATIONS = 1_000;

/** Makes turns that all begin with the first sender. */
export function createSenderTurns(): SenderTurns {
  /** The account that had the last turn. */
  const last = new LRUCache<string, number>({ max: MAX_DESTINATIONS });

  return {
    async next(trx, { destination, at, limit }) {
      const most = Math.min(limit, MAX_SENDERS);
      if (most === 0) return [];
      const senders = await sendersAfter(trx, destination, last.get(destination) ?? 0, most);
      last.set(destination, senders.length < most ? 0 : (senders.at(-1) ?? 0));
      const [first, ...others] = senders.map((sender) =>
        dueOf(trx, { destination, sender, at, limit: Math.floor(limit / most) }),
      );
      if (first === undefined) return [];
      const rows = await others.reduce((all, one) => all.unionAll(one), first).execute();
      return rows.map(({ id }) => id);
    },
  };
}

/** The first accounts above `after` that have something waiting for a destination. */
async function sendersAfter(
  trx: Queries,
  destination: string,
  after: number,
  limit: number,
): Promise<readonly number[]> {
  const { rows } = await sql<{ sender: number }>`
    with recursive turns(sender, turn) as (
      select (
        select min(account_id) from sent_shares
        where destination = ${destination} and due_at is not null and account_id > ${after}
      ), 1
      union all
      select (
        select min(account_id) from sent_shares
        where destination = ${destination} and due_at is not null and account_id > turns.sender
      ), turns.turn + 1
      from turns where turns.sender is not null and turns.turn < ${limit}
    )
    select sender from turns where sender is not null`.execute(trx);
  return rows.map(({ sender }) => sender).sort((a, b) => a - b);
}

function dueOf(
  trx: Queries,
  { destination, sender, at, limit }: { destination: string; sender: number; at: number; limit: number },
) {
  // A query of its own within the union: SQLite knows no other way to limit a part of one.
  const due = trx
    .selectFrom("sent_shares")
    .select("id")
    .where("destination", "=", destination)
    .where("account_id", "=", sender)
    .where("due_at", "<=", at)
    .orderBy("due_at")
    .orderBy("id")
    .limit(limit);
  return trx.selectFrom(due.as("due")).select("id");
}
