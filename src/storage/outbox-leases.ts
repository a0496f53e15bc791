/**
 * What delivers takes envelopes from the outbox under leases (docs/protocol.md §6.3): many workers, processes and nodes side
 * by side. A lease is a token on the row and a time until which it holds; every result is an update that names both, so a
 * worker that was paused past its lease writes nothing. What nobody renews becomes due again by itself, for another token.
 */

import { type Database, lockAccounts, lockFreeRows, type Queries, slices, storableText } from "./database.ts";
import { dueDestinations, nextDueAt, refreshDestination } from "./destinations.ts";
import { toEnvelopeRecord } from "./envelopes.ts";
import { createSenderTurns, type SenderTurns } from "./outbox-fairness.ts";
import type { SentShareTable } from "./schema.ts";
import type { DeliveryUpdate, DestinationStanding, LeasedDelivery, OutboxStore } from "./stores.ts";

const MAX_MESSAGE = 500;
const ROWS_PER_STATEMENT = 500;

type Leases = Pick<OutboxStore, "dueDestinations" | "nextDueAt" | "lease" | "renew" | "settle" | "release">;
type LeaseRequest = Parameters<OutboxStore["lease"]>[0];
type DueShare = Pick<SentShareTable, "stored_bytes"> & { readonly id: number };
type Settlement = Parameters<OutboxStore["settle"]>[1][number];

/** The delivering side of a database's outbox. */
export function createOutboxLeases(database: Database): Leases {
  const turns = createSenderTurns();
  return {
    dueDestinations: (standing, now, limit) =>
      database.read((queries) => dueDestinations(queries, standing, now, limit)),

    nextDueAt: () => database.read(nextDueAt),

    lease: (request) => database.write((trx) => takeLease(database, trx, turns, request)),

    renew: (token, leaseMs, now) =>
      database.write(async (trx) => {
        const at = now ?? (await database.now(trx));
        const destination = await destinationUnder(trx, token);
        if (destination === undefined) return 0;
        const { numUpdatedRows } = await trx
          .updateTable("sent_shares")
          .set({ due_at: at + leaseMs })
          .where("lease_token", "=", token)
          .where("due_at", ">", at)
          .executeTakeFirstOrThrow();
        await refreshDestination(database, trx, destination, at);
        return Number(numUpdatedRows);
      }),

    settle: async (token, results, now) =>
      results.length === 0 ? 0 : database.write((trx) => settle(database, trx, token, results, now)),

    release: (token, now) =>
      database.write(async (trx) => {
        const at = now ?? (await database.now(trx));
        const destination = await destinationUnder(trx, token);
        if (destination === undefined) return;
        await trx
          .updateTable("sent_shares")
          .set({ state: "QUEUED", due_at: at, lease_token: null, updated_at: at })
          .where("lease_token", "=", token)
          .execute();
        await refreshDestination(database, trx, destination, at);
      }),
  };
}

/** Where what is held under a token goes: a lease is of one destination. */
async function destinationUnder(trx: Queries, token: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom("sent_shares")
    .select("destination")
    .where("lease_token", "=", token)
    .limit(1)
    .executeTakeFirst();
  return row?.destination;
}

async function takeLease(
  database: Database,
  trx: Queries,
  turns: SenderTurns,
  request: LeaseRequest,
): Promise<readonly LeasedDelivery[]> {
  const { destination, token, leaseMs, maxBytes, now } = request;
  const at = now ?? (await database.now(trx));
  const ids = fittingPrefix(await findDue(database, trx, turns, request, at), maxBytes);
  if (ids.length === 0) return [];
  await trx
    .updateTable("sent_shares")
    .set({ state: "DELIVERING", due_at: at + leaseMs, lease_token: token, updated_at: at })
    .where("id", "in", ids)
    .execute();
  const rows = await trx
    .selectFrom("sent_shares")
    .innerJoin("sent_envelopes", "sent_envelopes.id", "sent_shares.id")
    .selectAll("sent_envelopes")
    .select([
      "share_id",
      "sender",
      "sender_key_number",
      "recipient",
      "created_at",
      "expires_at",
      "ciphertext_bytes",
      "stamp_nonce",
      "attempts",
      "message",
    ])
    .where("sent_shares.id", "in", ids)
    .execute();
  await refreshDestination(database, trx, destination, at);
  const order = new Map(ids.map((id, index) => [id, index]));
  rows.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
  return rows.map((row) => ({
    outboxId: row.id,
    envelope: toEnvelopeRecord(row),
    stampNonce: row.stamp_nonce === null ? undefined : fromU64(row.stamp_nonce),
    attempts: row.attempts,
    message: row.message,
  }));
}

/** What may be taken, locked: a few of each sender in turn, and then the longest due. */
async function findDue(
  database: Database,
  trx: Queries,
  turns: SenderTurns,
  { destination, token, limit }: LeaseRequest,
  at: number,
): Promise<readonly DueShare[]> {
  const takeable = trx
    .selectFrom("sent_shares")
    .select(["id", "stored_bytes"])
    // What ran out under this very token is another's to take: a result must never settle two attempts.
    .where((eb) => eb.or([eb("lease_token", "is", null), eb("lease_token", "<>", token)]));
  const lock = <Q extends typeof takeable>(query: Q): Q => lockFreeRows(database, query);
  const candidates = await turns.next(trx, { destination, at, limit: limit >> 1 });
  const fair =
    candidates.length === 0
      ? []
      : await takeable
          .where("id", "in", candidates)
          // Looked at again under the lock, and as a sum, lest SQLite goes through all that is due in search of the ids.
          .where((eb) => eb(eb("due_at", "+", 0), "<=", at))
          .$call(lock)
          .execute();
  const taken = fair.map(({ id }) => id);
  const oldest = await takeable
    .where("destination", "=", destination)
    .where("due_at", "<=", at)
    .$if(taken.length > 0, (query) => query.where("id", "not in", taken))
    .orderBy("due_at")
    .orderBy("id")
    .limit(limit - taken.length)
    .$call(lock)
    .execute();
  return [...fair, ...oldest];
}

/** The ids of as many rows as fit, from the first on; at least one, so that nothing waits for ever. */
function fittingPrefix(rows: readonly { id: number; stored_bytes: number }[], maxBytes: number): number[] {
  const ids: number[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.stored_bytes;
    if (bytes > maxBytes && ids.length > 0) break;
    ids.push(row.id);
  }
  return ids;
}

async function settle(
  database: Database,
  trx: Queries,
  token: string,
  results: readonly Settlement[],
  now: number | undefined,
): Promise<number> {
  const at = now ?? (await database.now(trx));
  const destination = await destinationUnder(trx, token);
  if (destination === undefined) return 0;
  // Accounts are locked before shares, here as everywhere; few of those settled were deleted meanwhile.
  await lockSendersOfDeleted(database, trx, results);
  let settled = 0;
  for (const [update, ids] of groupByUpdate(results)) {
    for (const slice of slices(ids, ROWS_PER_STATEMENT)) {
      const { numUpdatedRows } = await trx
        .updateTable("sent_shares")
        .set(outcome(update, at))
        .set((eb) => ({ attempts: eb("attempts", "+", 1), lease_token: null, updated_at: at }))
        .where("id", "in", slice)
        .where("lease_token", "=", token)
        .where("due_at", ">", at)
        .executeTakeFirstOrThrow();
      settled += Number(numUpdatedRows);
    }
  }
  await removeDeleted(trx, results);
  const standing = settled > 0 ? standingAfter(results) : undefined;
  await refreshDestination(database, trx, destination, at, standing);
  return settled;
}

/** Undefined where nothing was tried, since all of it came too late. */
function standingAfter(results: readonly Settlement[]): DestinationStanding | undefined {
  const kinds = new Set(results.map(({ update }) => update.kind));
  if (kinds.has("delivered") || kinds.has("rejected")) return "ANSWERED";
  return kinds.has("retry") ? "FAILING" : undefined;
}

function outcome(
  update: DeliveryUpdate,
  now: number,
): Pick<SentShareTable, "state" | "rejection_reason" | "message" | "due_at"> {
  switch (update.kind) {
    case "delivered":
      return { state: "DELIVERED", rejection_reason: 0, message: "", due_at: null };
    case "rejected":
      return {
        state: "REJECTED",
        rejection_reason: update.reason,
        message: storableText(update.message, MAX_MESSAGE),
        due_at: null,
      };
    case "failed":
      return {
        state: "FAILED",
        rejection_reason: 0,
        message: storableText(update.message, MAX_MESSAGE),
        due_at: null,
      };
    case "retry":
      return {
        state: "QUEUED",
        rejection_reason: 0,
        message: storableText(update.message, MAX_MESSAGE),
        due_at: Math.max(update.nextAttemptAt, now),
      };
  }
}

/** Results that write the same, together: a batch is mostly one statement. */
function groupByUpdate(results: readonly Settlement[]): (readonly [DeliveryUpdate, number[]])[] {
  const groups = new Map<string, readonly [DeliveryUpdate, number[]]>();
  for (const { outboxId, update } of results) {
    const key = JSON.stringify(update);
    const group = groups.get(key) ?? [update, []];
    group[1].push(outboxId);
    groups.set(key, group);
  }
  return [...groups.values()];
}

async function lockSendersOfDeleted(
  database: Database,
  trx: Queries,
  results: readonly Settlement[],
): Promise<void> {
  for (const slice of slices(results, ROWS_PER_STATEMENT)) {
    const senders = await trx
      .selectFrom("sent_shares")
      .select("account_id")
      .where(
        "id",
        "in",
        slice.map(({ outboxId }) => outboxId),
      )
      .where("deleted_at", "<>", 0)
      .execute();
    if (senders.length > 0) {
      await lockAccounts(
        database,
        trx,
        senders.map((row) => row.account_id),
      );
    }
  }
}

/** Removes copies that their senders deleted while they were under way, now that their delivery has ended. */
async function removeDeleted(trx: Queries, results: readonly Settlement[]): Promise<void> {
  for (const slice of slices(results, ROWS_PER_STATEMENT)) {
    const removed = await trx
      .deleteFrom("sent_shares")
      .where(
        "id",
        "in",
        slice.map(({ outboxId }) => outboxId),
      )
      .where("deleted_at", "<>", 0)
      .where("due_at", "is", null)
      .returning(["account_id", "stored_bytes"])
      .execute();
    removed.sort((a, b) => a.account_id - b.account_id);
    for (const { account_id, stored_bytes } of removed) {
      await trx
        .updateTable("accounts")
        .set((eb) => ({ stored_bytes: eb("stored_bytes", "-", stored_bytes) }))
        .where("id", "=", account_id)
        .where("deleted_at", "=", 0)
        .execute();
    }
  }
}

function fromU64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0);
}
