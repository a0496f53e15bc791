/**
 * Where something waits to be delivered: one row per destination beside the outbox (docs/protocol.md §6.3), so that looking
 * for work costs as much as is taken and not as much as waits. A row says when the first of what waits is due, and how the
 * destination behaved the last time: without that, names that lead nowhere would stand in everybody's way. Whoever changes
 * when a share is due writes this row last in the same transaction, and so under a lock that nothing else waits behind. Those
 * who only queue share that lock with each other: a hundred who send to one domain commit side by side.
 */

import { sql } from "kysely";
import { type Database, lockRows, type Queries } from "./database.ts";
import type { DestinationStanding } from "./stores.ts";

/** How long a destination that answered is remembered with nothing waiting for it, in milliseconds. */
export const IDLE_DESTINATION_MS = 7 * 24 * 60 * 60 * 1_000;

/** Destinations of a standing with something due, the longest due first: a stretch of one index. */
export async function dueDestinations(
  queries: Queries,
  standing: DestinationStanding,
  now: number,
  limit: number,
): Promise<readonly string[]> {
  const rows = await queries
    .selectFrom("outbox_destinations")
    .select("destination")
    .where("standing", "=", standing)
    .where("due_at", "<=", now)
    .orderBy("due_at")
    .orderBy("destination")
    .limit(limit)
    .execute();
  return rows.map((row) => row.destination);
}

/** When the first of all that waits is due. */
export async function nextDueAt(queries: Queries): Promise<number | undefined> {
  const row = await queries
    .selectFrom("outbox_destinations")
    .select("due_at")
    .where("due_at", "is not", null)
    .orderBy("due_at")
    .limit(1)
    .executeTakeFirst();
  return row?.due_at ?? undefined;
}

/** Notes that a share for a destination is due at `dueAt`. */
export async function announceShare(
  database: Database,
  trx: Queries,
  destination: string,
  dueAt: number,
): Promise<void> {
  await lockDestination(database, trx, destination, "shared");
  const known = await trx
    .selectFrom("outbox_destinations")
    .select("due_at")
    .where("destination", "=", destination)
    .where("due_at", "<=", dueAt)
    .executeTakeFirst();
  if (known !== undefined) return;
  await trx
    .insertInto("outbox_destinations")
    .values({ destination, standing: "UNTRIED", due_at: dueAt, idle_since: null })
    .onConflict((conflict) =>
      conflict
        .column("destination")
        .doUpdateSet({ due_at: dueAt, idle_since: null })
        .where((eb) =>
          eb.or([eb("outbox_destinations.due_at", "is", null), eb("outbox_destinations.due_at", ">", dueAt)]),
        ),
    )
    .execute();
}

/** Looks again when the first share of a destination is due, and notes its standing if that is known anew. */
export async function refreshDestination(
  database: Database,
  trx: Queries,
  destination: string,
  now: number,
  standing?: DestinationStanding,
): Promise<void> {
  // In a statement of its own: the next one sees what those who held the lock before have queued.
  await lockDestination(database, trx, destination, "exclusive");
  const row = await trx
    .selectFrom("outbox_destinations")
    .select(["standing", "due_at"])
    .where("destination", "=", destination)
    .$call((query) => lockRows(database, query))
    .executeTakeFirst();
  if (row === undefined) return;
  const first = await trx
    .selectFrom("sent_shares")
    .select("due_at")
    .where("destination", "=", destination)
    .where("due_at", "is not", null)
    .orderBy("due_at")
    .limit(1)
    .executeTakeFirst();
  const next = { standing: standing ?? row.standing, due_at: first?.due_at ?? null };
  if (next.due_at === null && next.standing !== "ANSWERED") {
    // Nothing is lost: an unknown destination counts as untried.
    await trx.deleteFrom("outbox_destinations").where("destination", "=", destination).execute();
  } else if (next.due_at !== row.due_at || next.standing !== row.standing) {
    await trx
      .updateTable("outbox_destinations")
      .set({ ...next, idle_since: next.due_at === null ? now : null })
      .where("destination", "=", destination)
      .execute();
  }
}

/**
 * Locks a destination until the transaction ends, on PostgreSQL; SQLite's one writer has it already. A lock of its own and
 * not the row's: those who share it leave no trace in the table, and whoever wants it alone is not passed by those who come
 * later.
 */
async function lockDestination(
  database: Database,
  trx: Queries,
  destination: string,
  mode: "shared" | "exclusive",
): Promise<void> {
  if (database.dialect === "sqlite") return;
  const key = sql`hashtextextended(${`keypears destination ${destination}`}, 0)`;
  await (mode === "shared"
    ? sql`select pg_advisory_xact_lock_shared(${key})`
    : sql`select pg_advisory_xact_lock(${key})`
  ).execute(trx);
}
