/**
 * Kysely's SQLite dialect over better-sqlite3 with what a node needs beyond it: transactions that take the write lock when
 * they begin, waiting for that lock without blocking the thread, statements prepared once, blobs as plain Uint8Array, and
 * migrations inside a transaction.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Database as SqliteConnection, Statement } from "better-sqlite3";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
} from "kysely";
import { plainBytes } from "./database.ts";
import { isSqliteBusy } from "./errors.ts";
import type { RepeatedQuery } from "./given-rows.ts";

const MAX_PREPARED = 256;
const MAX_BEGIN_DELAY_MS = 25;

/** A dialect over one open connection, which it closes in the end. */
export function createSqliteDialect(connection: SqliteConnection, lockTimeoutMs: number): Dialect {
  const dialect = new SqliteDialect({ database: connection });
  return {
    createAdapter: (): DialectAdapter => new TransactionalSqliteAdapter(),
    createDriver: (): Driver => new ImmediateSqliteDriver(connection, lockTimeoutMs),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
  };
}

class TransactionalSqliteAdapter extends SqliteAdapter {
  // SQLite's schema changes are transactional; with this, Kysely's Migrator takes a transaction, and its lock is ours.
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class ImmediateSqliteDriver extends SqliteDriver {
  readonly #connection: PreparedConnection;
  readonly #lockTimeoutMs: number;

  constructor(connection: SqliteConnection, lockTimeoutMs: number) {
    super({ database: connection });
    this.#connection = new PreparedConnection(connection);
    this.#lockTimeoutMs = lockTimeoutMs;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    // A deferred transaction that reads and then writes fails at once if another process wrote in between. And the wait is
    // ours, not SQLite's busy handler, which would block the event loop: with it whoever holds the lock on this same thread
    // could never finish.
    const giveUpAt = performance.now() + this.#lockTimeoutMs;
    for (let delay = 1; ; delay = Math.min(2 * delay, MAX_BEGIN_DELAY_MS)) {
      try {
        await connection.executeQuery(CompiledQuery.raw("begin immediate"));
        return;
      } catch (error) {
        if (!isSqliteBusy(error) || performance.now() >= giveUpAt) throw error;
      }
      await sleep(Math.random() * delay);
    }
  }
}

/** A connection that keeps its prepared statements, least recently used ones thrown away. */
class PreparedConnection implements DatabaseConnection {
  readonly #connection: SqliteConnection;
  readonly #statements = new Map<string, Statement<unknown[], Record<string, unknown>>>();

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const statement = this.#prepare(query.sql);
    const runs = isRepeated(query) ? query.rows : [query.parameters];
    if (!statement.reader) {
      let changes = 0;
      for (const parameters of runs) changes += statement.run(parameters).changes;
      return { rows: [], numAffectedRows: BigInt(changes) };
    }
    const rows = runs.flatMap((parameters) => statement.all(parameters));
    for (const row of rows) {
      for (const name in row) {
        const value = row[name];
        if (value instanceof Uint8Array) row[name] = plainBytes(value);
      }
    }
    return { rows: rows as R[] };
  }

  // biome-ignore lint/correctness/useYield: the interface asks for a generator, and no store streams
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("streaming is not supported");
  }

  #prepare(sql: string): Statement<unknown[], Record<string, unknown>> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#connection.prepare<unknown[], Record<string, unknown>>(sql);
      const oldest = this.#statements.size < MAX_PREPARED ? undefined : this.#statements.keys().next().value;
      if (oldest !== undefined) this.#statements.delete(oldest);
    } else {
      this.#statements.delete(sql);
    }
    this.#statements.set(sql, statement);
    return statement;
  }
}

function isRepeated(query: CompiledQuery): query is RepeatedQuery {
  return "rows" in query;
}
