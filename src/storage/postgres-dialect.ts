/**
 * Kysely's PostgreSQL dialect with what a node needs beyond it: no statement waits for ever, a commit whose fate is unknown
 * is told apart from one that did not happen, and a connection that a statement showed to be useless is not used again.
 * Nothing here depends on a session that lasts longer than a transaction, so that a pooler may stand in between.
 */

import {
  CompiledQuery,
  type DatabaseConnection,
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  type PostgresPoolClient,
  type TransactionSettings,
} from "kysely";
import type pg from "pg";
import { isConnectionLost, StorageError } from "./errors.ts";

/** How long things may take, in milliseconds; 0 for as long as they like. */
export interface PostgresTimeouts {
  /** A statement, by the server's watch. */
  readonly statement: number;
  /** The wait for one lock. */
  readonly lock: number;
  /** Between two statements of a transaction: a process that was stopped lets go of its locks. */
  readonly idleInTransaction: number;
  /** An answer of the server, by this process's watch: a line that died without a word. Above `statement`. */
  readonly answer: number;
}

/** What a dialect is made of. */
export interface PostgresDialectOptions {
  readonly pool: pg.Pool;
  readonly timeouts: PostgresTimeouts;
  /** Whether each transaction sets the time-outs for itself. Else the session has them. */
  readonly setInTransactions: boolean;
}

/** A commit was sent and no answer came: it may have happened. */
export class CommitUnknown extends StorageError {
  constructor() {
    super("DATABASE_UNAVAILABLE", {
      message: "connection to the database was lost during a commit, which may have happened: ask again",
    });
  }
}

/** A dialect over a pool, which it closes in the end. */
export function createPostgresDialect({
  pool,
  timeouts,
  setInTransactions,
}: PostgresDialectOptions): PostgresDialect {
  const config = {
    pool: {
      options: pool.options,
      connect: async () => watched(await pool.connect(), timeouts.answer),
      end: () => pool.end(),
    },
  };
  const begin = setInTransactions ? `begin; ${settings(timeouts)}` : "begin";
  return new (class extends PostgresDialect {
    override createAdapter(): PostgresAdapter {
      return new TransactionLockAdapter();
    }

    override createDriver(): PostgresDriver {
      return new CarefulDriver(config, begin);
    }
  })(config);
}

/** One round trip with `begin`: without parameters `pg` sends several statements as one text. */
function settings({ statement, lock, idleInTransaction }: PostgresTimeouts): string {
  return [
    `set local statement_timeout = ${statement}`,
    `set local lock_timeout = ${lock}`,
    `set local idle_in_transaction_session_timeout = ${idleInTransaction}`,
  ].join("; ");
}

class CarefulDriver extends PostgresDriver {
  readonly #begin: string;

  constructor(config: ConstructorParameters<typeof PostgresDriver>[0], begin: string) {
    super(config);
    this.#begin = begin;
  }

  override async beginTransaction(connection: DatabaseConnection, _: TransactionSettings): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(this.#begin));
  }

  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.commitTransaction(connection);
    } catch (error) {
      throw isConnectionLost(error) ? new CommitUnknown() : error;
    }
  }

  override async rollbackTransaction(
    connection: Parameters<PostgresDriver["rollbackTransaction"]>[0],
  ): Promise<void> {
    try {
      await super.rollbackTransaction(connection);
    } catch {
      // The connection is thrown away with the transaction. Why it came to this is what the caller is told.
    }
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

/** read_only_sql_transaction, PostgreSQL documentation, appendix A. */
const READ_ONLY = "25006";

/** A connection from the pool whose every answer is waited for a bounded time. */
function watched(client: pg.PoolClient, answerTimeoutMs: number): PostgresPoolClient {
  let useless = false;
  const query = async (text: string, values: readonly unknown[]) => {
    // To end a client with a statement under way cuts its line, which the statement then reports.
    const watch = answerTimeoutMs > 0 ? setTimeout(() => void client.end(), answerTimeoutMs) : undefined;
    try {
      return await client.query(text, [...values]);
    } catch (error) {
      // A server that became a standby stays one for this connection, even when the name leads to another by now.
      if (error instanceof Error && "code" in error && error.code === READ_ONLY) useless = true;
      throw error;
    } finally {
      clearTimeout(watch);
    }
  };
  return {
    // The other form, for cursors, is used by streamed queries only, and no store streams.
    query: query as unknown as PostgresPoolClient["query"],
    release: (destroy) => client.release(destroy || useless),
  };
}
