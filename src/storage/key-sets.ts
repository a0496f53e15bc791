/** Key sets by address and number (docs/protocol.md §3), and the seeds that their owners sealed. */

import { type Database, lockAccount, type Queries } from "./database.ts";
import { addNotice } from "./notices.ts";
import { earlierResult, remember } from "./requests.ts";
import type { KeySetTable } from "./schema.ts";
import type { KeySetRecord, KeySetStore, SealedKeySetRecord } from "./stores.ts";

const KEY_SET_COLUMNS = [
  "key_sets.number",
  "key_sets.body",
  "key_sets.hash",
  "key_sets.self_signature",
  "key_sets.continuity_signature",
  "key_sets.created_at",
  "key_sets.revokes_previous",
] as const;

/** The key sets of a database. */
export function createKeySetStore(database: Database): KeySetStore {
  return {
    get: (address, number) => database.read((queries) => getKeySet(queries, address, number)),

    list: (address, { limit, after }) =>
      database.read(async (queries) => {
        const account = await queries
          .selectFrom("accounts")
          .select(["id", "active_key_number"])
          .where("address", "=", address)
          .where("deleted_at", "=", 0)
          .executeTakeFirst();
        if (account === undefined) return { kind: "address-unknown" };
        const rows = await queries
          .selectFrom("key_sets")
          .select(KEY_SET_COLUMNS)
          .where("account_id", "=", account.id)
          .where("number", ">", after)
          // A set published since the account was read would contradict its active number.
          .where("number", "<=", account.active_key_number)
          .orderBy("number")
          .limit(limit + 1)
          .execute();
        const keySets = rows.map(toKeySetRecord);
        const next = keySets[limit];
        return {
          kind: "found",
          keySets: keySets.slice(0, limit),
          activeNumber: account.active_key_number,
          next,
        };
      }),

    sealed: (accountId) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("sealed_key_sets")
          .selectAll()
          .where("account_id", "=", accountId)
          .orderBy("number")
          .execute();
        return rows.map(
          (row): SealedKeySetRecord => ({
            number: row.number,
            ed25519: row.ed25519,
            x25519: row.x25519,
            mlDsa65: row.ml_dsa_65,
            mlKem768: row.ml_kem_768,
          }),
        );
      }),

    publishedSince: (accountId, since) =>
      database.read(async (queries) => {
        const { count } = await queries
          .selectFrom("key_sets")
          .select((eb) => eb.fn.countAll<number>().as("count"))
          .where("account_id", "=", accountId)
          .where("published_at", ">=", since)
          .executeTakeFirstOrThrow();
        return count;
      }),

    publish: (publication) => {
      const { accountId, expectedActiveNumber, keySet, sealedKeys, now, notice, request } = publication;
      return database.write(async (trx) => {
        const account = await lockAccount(database, trx, accountId);
        if (account === undefined) return { kind: "conflict", activeNumber: 0 };
        const earlier = await earlierResult<{ kind: "published"; activeNumber: number }>(
          trx,
          accountId,
          request,
          now,
        );
        if (earlier !== undefined) return earlier;
        const activeNumber = account.active_key_number;
        if (expectedActiveNumber !== activeNumber || keySet.number !== activeNumber + 1) {
          return { kind: "conflict", activeNumber };
        }
        await insertKeySet(trx, accountId, keySet, sealedKeys, now);
        await trx
          .updateTable("accounts")
          .set({ active_key_number: keySet.number })
          .where("id", "=", accountId)
          .execute();
        await addNotice(trx, accountId, notice);
        return remember(trx, accountId, request, { kind: "published", activeNumber: keySet.number }, now);
      });
    },
  };
}

/** Stores a key set and its sealed seeds under one number. @throws RangeError if their numbers differ. */
export async function insertKeySet(
  trx: Queries,
  accountId: number,
  keySet: KeySetRecord,
  sealed: SealedKeySetRecord,
  now: number,
): Promise<void> {
  if (sealed.number !== keySet.number)
    throw new RangeError("sealed keys have another number than their key set");
  await trx
    .insertInto("key_sets")
    .values({
      account_id: accountId,
      number: keySet.number,
      body: keySet.body,
      hash: keySet.hash,
      self_signature: keySet.selfSignature,
      continuity_signature: keySet.continuitySignature,
      created_at: keySet.createdAt,
      revokes_previous: keySet.revokesPrevious ? 1 : 0,
      published_at: now,
    })
    .execute();
  await trx
    .insertInto("sealed_key_sets")
    .values({
      account_id: accountId,
      number: sealed.number,
      ed25519: sealed.ed25519,
      x25519: sealed.x25519,
      ml_dsa_65: sealed.mlDsa65,
      ml_kem_768: sealed.mlKem768,
    })
    .execute();
}

/** One statement, since nothing is asked for more often: the account, the set, and what its successor says about it. */
async function getKeySet(
  queries: Queries,
  address: string,
  number: number,
): Promise<Awaited<ReturnType<KeySetStore["get"]>>> {
  const row = await queries
    .selectFrom("accounts")
    .leftJoin("key_sets", (join) =>
      join
        .onRef("key_sets.account_id", "=", "accounts.id")
        .$call((on) =>
          number === 0
            ? on.onRef("key_sets.number", "=", "accounts.active_key_number")
            : on.on("key_sets.number", "=", number),
        ),
    )
    .leftJoin("key_sets as next", (join) =>
      join
        .onRef("next.account_id", "=", "accounts.id")
        .on("next.number", "=", (eb) => eb("key_sets.number", "+", 1)),
    )
    .select(KEY_SET_COLUMNS)
    .select([
      "accounts.active_key_number",
      "next.created_at as superseded_at",
      "next.revokes_previous as revoked",
    ])
    .where("accounts.address", "=", address)
    .where("accounts.deleted_at", "=", 0)
    .executeTakeFirst();
  if (row === undefined) return { kind: "address-unknown" };
  const activeNumber = row.active_key_number;
  if (!isPresent(row)) return { kind: "number-unknown", activeNumber };
  return {
    kind: "found",
    keySet: toKeySetRecord(row),
    activeNumber,
    supersededAt: row.superseded_at ?? 0,
    revoked: row.revoked === 1,
  };
}

type KeySetRow = Omit<KeySetTable, "account_id" | "published_at">;

function isPresent<R extends { readonly [K in keyof KeySetRow]: KeySetRow[K] | null }>(
  row: R,
): row is R & KeySetRow {
  return row.number !== null;
}

function toKeySetRecord(row: KeySetRow): KeySetRecord {
  return {
    number: row.number,
    body: row.body,
    hash: row.hash,
    selfSignature: row.self_signature,
    continuitySignature: row.continuity_signature,
    createdAt: row.created_at,
    revokesPrevious: row.revokes_previous === 1,
  };
}
