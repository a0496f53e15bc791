/**
 * What stands between the stores and a driver: reads, durable write transactions, and the few words of SQL in which SQLite
 * and PostgreSQL differ. `sqlite.ts` and `postgres.ts` implement it; each is loaded only when its URL is given.
 */

import type { Kysely, SelectQueryBuilder, Transaction } from "kysely";
import { StorageError } from "./errors.ts";
import type { AccountTable, Schema } from "./schema.ts";

/** Which database stands behind the stores. */
export type Dialect = "sqlite" | "postgres";

/** Anything that runs queries: a connection or a transaction. */
export type Queries = Kysely<Schema>;

/** An open database. */
export interface Database {
  readonly dialect: Dialect;
  /**
   * Runs queries that change nothing, outside of any write transaction. `work` may run more than once.
   *
   * @throws StorageError
   */
  read<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in one transaction and resolves when it is durable. Rolls back and throws what `work` throws. `work` may run
   * more than once, so it must have no effect outside of the database.
   *
   * @throws StorageError
   */
  write<T>(work: (trx: Transaction<Schema>) => Promise<T>): Promise<T>;
  /** The clock that leases run by, in Unix milliseconds: one for all nodes of this database. */
  now(queries: Queries): Promise<number>;
  close(): Promise<void>;
}

/** An account's row, locked until the transaction ends. */
export type LockedAccount = Pick<
  AccountTable,
  "active_key_number" | "wrap_number" | "stored_bytes" | "last_sequence" | "last_position"
> & { readonly id: number };

/**
 * Locks accounts that exist until the transaction ends, always in ascending order of id, so that two transactions never wait
 * for each other. It is the first lock that any transaction takes: whatever belongs to one account (sequences, quota, key
 * numbers, notices) changes in one order that everybody sees.
 */
export async function lockAccounts(
  database: Database,
  trx: Queries,
  accountIds: readonly number[],
): Promise<Map<number, LockedAccount>> {
  const rows = await trx
    .selectFrom("accounts")
    .select(["id", "active_key_number", "wrap_number", "stored_bytes", "last_sequence", "last_position"])
    .where("id", "in", [...new Set(accountIds)])
    .where("deleted_at", "=", 0)
    .orderBy("id")
    .$call((query) => lockRows(database, query))
    .execute();
  return new Map(rows.map((row) => [row.id, row]));
}

/** Locks one account. Undefined if there is none. */
export async function lockAccount(
  database: Database,
  trx: Queries,
  accountId: number,
): Promise<LockedAccount | undefined> {
  return (await lockAccounts(database, trx, [accountId])).get(accountId);
}

/** Locks one account. @throws StorageError `ACCOUNT_GONE`. */
export async function requireAccount(
  database: Database,
  trx: Queries,
  accountId: number,
): Promise<LockedAccount> {
  const account = await lockAccount(database, trx, accountId);
  if (account === undefined) throw new StorageError("ACCOUNT_GONE");
  return account;
}

/** Locks the rows that a query reads for writing, on PostgreSQL; SQLite's one writer has them all already. */
export function lockRows<Q extends SelectQueryBuilder<never, never, unknown>>(
  database: Database,
  query: Q,
): Q {
  // NO KEY: foreign keys that point at the row need not wait.
  return database.dialect === "postgres" ? (query.forNoKeyUpdate() as Q) : query;
}

/** Locks the rows that a query reads and leaves out those that another transaction has locked, on PostgreSQL. */
export function lockFreeRows<Q extends SelectQueryBuilder<never, never, unknown>>(
  database: Database,
  query: Q,
): Q {
  return database.dialect === "postgres" ? (query.forNoKeyUpdate().skipLocked() as Q) : query;
}

/** `text` as every database takes it: PostgreSQL refuses U+0000, and neither keeps a lone surrogate. */
export function storableText(text: string, maxLength: number): string {
  return text.replaceAll("\0", "").slice(0, maxLength).toWellFormed();
}

/** Slices of at most `size` elements, so that no statement has more parameters than a database takes. */
export function* slices<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/** The same bytes without what Buffer, which drivers answer with, adds: its `slice`, for one, is a view and not a copy. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
