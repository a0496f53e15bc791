/**
 * PostgreSQL behind the stores, for several nodes on one database. READ COMMITTED with explicit row locks: what must happen
 * in one order locks its account's row first. Serialization failures and deadlocks run again.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, type LogConfig, PostgresAdapter, PostgresDialect, sql, type Transaction } from "kysely";
import pg from "pg";
import { type Database, plainBytes, type Queries } from "./database.ts";
import { isSerializationFailure, StorageError, toStorageError } from "./errors.ts";
import type { Schema } from "./schema.ts";

const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const MAX_ATTEMPTS = 6;
const FIRST_RETRY_MS = 5;

// Object ids of types, PostgreSQL's pg_type.dat.
const INT8 = 20;
const BYTEA = 17;

/** What a test or a bench may set. */
export interface PostgresOptions {
  readonly clock?: (() => number) | undefined;
  /** Sees every statement. */
  readonly log?: LogConfig;
}

/** Opens a pool of connections. Nothing is connected yet. @throws StorageError `DATABASE_CONFIGURATION`. */
export function openPostgres(url: string, options: PostgresOptions = {}): Database {
  return new PostgresDatabase(createPool(url), options);
}

class PostgresDatabase implements Database {
  readonly dialect = "postgres";
  readonly #kysely: Kysely<Schema>;
  readonly #pool: pg.Pool;
  readonly #clock: (() => number) | undefined;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor(pool: pg.Pool, options: PostgresOptions) {
    this.#pool = pool;
    this.#kysely = new Kysely<Schema>({
      dialect: new TransactionLockDialect({ pool }),
      ...(options.log === undefined ? {} : { log: options.log }),
    });
    this.#clock = options.clock;
  }

  async read<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    try {
      return await this.#track(() => work(this.#kysely));
    } catch (error) {
      throw toStorageError(error);
    }
  }

  write<T>(work: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
    return this.#track(() => this.#writeWithRetries(work));
  }

  async #writeWithRetries<T>(work: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      let begun = false;
      try {
        return await this.#kysely.transaction().execute((trx) => {
          begun = true;
          return work(trx);
        });
      } catch (error) {
        // A pooled connection that died idle fails at BEGIN: nothing was asked of it yet.
        const lostBeforeBegin = !begun && attempt === 1;
        const again = isSerializationFailure(error) || lostBeforeBegin;
        if (!again || attempt === MAX_ATTEMPTS) throw toStorageError(error);
      }
      await sleep(Math.random() * FIRST_RETRY_MS * 2 ** attempt);
    }
  }

  async now(queries: Queries): Promise<number> {
    if (this.#clock !== undefined) return this.#clock();
    const { rows } = await sql<{ now: number }>`
      select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(queries);
    const row = rows[0];
    if (row === undefined) throw new StorageError("DATABASE_FAILED");
    return row.now;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // A pool that ends forgets whoever still waits for a connection.
    await Promise.allSettled(this.#underWay);
    await this.#pool.end();
  }

  /** Runs something that {@link close} is to wait for. */
  async #track<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StorageError("DATABASE_UNAVAILABLE", { message: "database is closed" });
    const running = run();
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }
}

class TransactionLockDialect extends PostgresDialect {
  override createAdapter(): PostgresAdapter {
    return new TransactionLockAdapter();
  }
}

/** Migrations lock for their transaction, not for a session, which a pooler may give to somebody else meanwhile. */
class TransactionLockAdapter extends PostgresAdapter {
  override async acquireMigrationLock(): Promise<void> {
    // `migrations/index.ts` holds it already, since it must be held before Kysely makes its own tables.
  }

  override async releaseMigrationLock(): Promise<void> {
    // The end of the transaction releases it.
  }
}

function createPool(url: string): pg.Pool {
  if (!URL.canParse(url)) {
    throw new StorageError("DATABASE_CONFIGURATION", { message: "database URL is not a valid URL" });
  }
  const pool = new pg.Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: "keypears",
    types: { getTypeParser },
  });
  // An idle connection that is lost (a restart of the server) leaves the pool; without a listener it would end the process.
  pool.on("error", () => {});
  return pool;
}

function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  const parse = pg.types.getTypeParser(oid, format as "text");
  if (oid === INT8) return parseInt8;
  if (oid === BYTEA) return (value) => plainBytes(parse(value));
  return parse;
}

/** PostgreSQL's int8 as a number: times, sizes, counts and ids all fit 53 bits. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new StorageError("DATABASE_FAILED", { message: "number is too large" });
  return value;
}
