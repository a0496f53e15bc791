/**
 * PostgreSQL behind the stores, for several nodes on one database. READ COMMITTED with explicit row locks: what must happen
 * in one order locks its account's row first. Serialization failures and deadlocks run again, and so does what a lost
 * connection cut off, unless its commit was on the way already.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, type LogConfig, sql, type Transaction } from "kysely";
import pg from "pg";
import type { Database, Queries } from "./database.ts";
import { isConnectionLost, isSerializationFailure, StorageError, toStorageError } from "./errors.ts";
import { connectionConfig } from "./postgres-connection.ts";
import { CommitUnknown, createPostgresDialect, type PostgresTimeouts } from "./postgres-dialect.ts";
import { APPLICATION_NAME, MAINTENANCE_APPLICATION_NAME } from "./postgres-names.ts";
import type { Schema } from "./schema.ts";

const DEFAULT_CONNECTIONS = 10;
const MAX_ATTEMPTS = 6;
const FIRST_RETRY_MS = 5;
/** For so long after its beginning, something that lost its connection is tried again: a server that is down stays it. */
const LOST_RETRY_WINDOW_MS = 1_000;

const TIMEOUTS: PostgresTimeouts = {
  statement: 30_000,
  lock: 10_000,
  idleInTransaction: 10_000,
  answer: 35_000,
};
const NO_TIMEOUTS: PostgresTimeouts = { statement: 0, lock: 0, idleInTransaction: 0, answer: 0 };

/** What may be said about a database beside its URL. */
export interface PostgresOptions {
  /** Connections at most; 10 if left out. */
  readonly connections?: number | undefined;
  /** Whether a pooler may give every transaction another session. */
  readonly pooled?: boolean | undefined;
  /** No time-outs and another name for the server: for what takes as long as it takes, such as migrations. */
  readonly unhurried?: boolean;
  /** In place of the usual ones: for tests. */
  readonly timeouts?: PostgresTimeouts;
  readonly clock?: (() => number) | undefined;
  /** Sees every statement. */
  readonly log?: LogConfig;
}

/** Opens a pool of connections. Nothing is connected yet. @throws StorageError `DATABASE_CONFIGURATION`. */
export function openPostgres(url: string, options: PostgresOptions = {}): Database {
  return new PostgresDatabase(url, options);
}

class PostgresDatabase implements Database {
  readonly dialect = "postgres";
  readonly #kysely: Kysely<Schema>;
  readonly #pool: pg.Pool;
  readonly #clock: (() => number) | undefined;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor(url: string, options: PostgresOptions) {
    const { connections = DEFAULT_CONNECTIONS, pooled = false, unhurried = false } = options;
    const timeouts = unhurried ? NO_TIMEOUTS : (options.timeouts ?? TIMEOUTS);
    const setInTransactions = pooled || unhurried;
    const pool = new pg.Pool({
      ...connectionConfig(url, unhurried ? MAINTENANCE_APPLICATION_NAME : APPLICATION_NAME),
      max: connections,
      // As start-up parameters they cost nothing, and reads have them too; a pooler refuses them.
      ...(!setInTransactions && {
        statement_timeout: timeouts.statement,
        lock_timeout: timeouts.lock,
        idle_in_transaction_session_timeout: timeouts.idleInTransaction,
      }),
    });
    // A connection that is lost (a restart of the server) leaves the pool, and whatever ran on it fails. Without listeners
    // for the idle and for those in use it would end the process.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    this.#pool = pool;
    this.#kysely = new Kysely<Schema>({
      dialect: createPostgresDialect({ pool, timeouts, setInTransactions }),
      ...(options.log === undefined ? {} : { log: options.log }),
    });
    this.#clock = options.clock;
  }

  read<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return this.#track(() => withRetries(() => work(this.#kysely)));
  }

  write<T>(work: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
    return this.#track(() => withRetries(() => this.#kysely.transaction().execute(work)));
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

/** Runs something again that the database is known not to have done, for a cause that may be gone by then. */
async function withRetries<T>(run: () => Promise<T>): Promise<T> {
  const began = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const lost = isConnectionLost(error) && !(error instanceof CommitUnknown);
      const again = lost ? performance.now() - began < LOST_RETRY_WINDOW_MS : isSerializationFailure(error);
      if (!again || attempt === MAX_ATTEMPTS) throw toStorageError(error);
    }
    await sleep(Math.random() * FIRST_RETRY_MS * 2 ** attempt);
  }
}
