/**
 * SQLite behind the stores: one file, WAL, every commit synced. Writes wait in one queue and those that wait together are
 * committed together, each under a savepoint of its own unless it is alone, so that one sync pays for many; nobody is
 * answered before it. Reads have a connection of their own and see committed data without waiting for the writer.
 */

import { closeSync, constants, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import Sqlite, { type Database as SqliteConnection } from "better-sqlite3";
import { type ControlledTransaction, Kysely, type LogConfig, type Transaction } from "kysely";
import type { Database, Queries } from "./database.ts";
import { isSqliteBusy, StorageError, toStorageError } from "./errors.ts";
import type { Schema } from "./schema.ts";
import { createSqliteDialect } from "./sqlite-dialect.ts";

const LOCK_TIMEOUT_MS = 10_000;
const JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024;
const MAX_GROUP = 128;

/** What a test or a bench may set. */
export interface SqliteOptions {
  /** Takes a file that nobody else has open, and keeps others out until the end: for copies. */
  readonly exclusive?: boolean | undefined;
  readonly clock?: (() => number) | undefined;
  /** Sees every statement. */
  readonly log?: LogConfig;
}

/**
 * Opens a database file, made with mode 0600 if there is none, or `:memory:`.
 *
 * @throws StorageError
 */
export function openSqlite(location: string, options: SqliteOptions = {}): Database {
  const connections: SqliteConnection[] = [];
  try {
    const memory = location === ":memory:";
    const { exclusive = false } = options;
    const path = memory ? location : prepareFile(location);
    const writer = connect(path, connections, exclusive);
    const reader = memory || exclusive ? writer : connect(path, connections);
    if (reader !== writer) reader.pragma("query_only = on");
    // From here on the wait for the write lock is the driver's, which blocks nobody. Readers hardly ever wait in a WAL.
    writer.pragma("busy_timeout = 0");
    return new SqliteDatabase(writer, reader, options);
  } catch (error) {
    for (const connection of connections) connection.close();
    throw options.exclusive && isSqliteBusy(error)
      ? new StorageError("DATABASE_IN_USE")
      : toStorageError(error);
  }
}

class SqliteDatabase implements Database {
  readonly dialect = "sqlite";
  readonly #writer: Kysely<Schema>;
  readonly #reader: Kysely<Schema>;
  readonly #clock: () => number;
  readonly #waiting: WaitingWrite[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;

  constructor(writer: SqliteConnection, reader: SqliteConnection, options: SqliteOptions) {
    const open = (connection: SqliteConnection) =>
      new Kysely<Schema>({
        dialect: createSqliteDialect(connection, LOCK_TIMEOUT_MS),
        ...(options.log === undefined ? {} : { log: options.log }),
      });
    this.#writer = open(writer);
    this.#reader = reader === writer ? this.#writer : open(reader);
    this.#clock = options.clock ?? Date.now;
  }

  async read<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    this.#requireOpen();
    try {
      return await work(this.#reader);
    } catch (error) {
      throw toStorageError(error);
    }
  }

  write<T>(work: (trx: Transaction<Schema>) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#requireOpen();
      this.#waiting.push({ work, resolve: (value) => resolve(value as T), reject });
      this.#draining ??= this.#drain();
    });
  }

  async now(): Promise<number> {
    return this.#clock(); // all processes of one file share the machine's clock
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#draining;
    // The last connection to close folds the log into the file, so the reader, which may not write, goes first.
    if (this.#reader !== this.#writer) await destroy(this.#reader);
    await destroy(this.#writer);
  }

  #requireOpen(): void {
    if (this.#closed) throw new StorageError("DATABASE_UNAVAILABLE", { message: "database is closed" });
  }

  async #drain(): Promise<void> {
    // Writes that are asked for in the same turn of the event loop join the first group.
    await Promise.resolve();
    for (;;) {
      const group = this.#waiting.splice(0, MAX_GROUP);
      if (group.length === 0) break;
      await this.#commit(group);
    }
    this.#draining = undefined;
  }

  /** Runs a group in one transaction, then answers each of its writes. */
  async #commit(group: readonly WaitingWrite[]): Promise<void> {
    const answers: (() => void)[] = [];
    let trx: ControlledTransaction<Schema> | undefined;
    try {
      trx = await this.#writer.startTransaction().execute();
      for (const write of group) {
        // A write by itself needs no savepoint, which would copy every page that it changes: it is rolled back as a whole.
        answers.push(await (group.length === 1 ? runAlone(trx, write) : runUnderSavepoint(trx, write)));
      }
      await trx.commit().execute();
    } catch (error) {
      // Nothing of the group is durable, not even what had gone well.
      const failure = toStorageError(error);
      await rollBack(trx);
      for (const write of group) write.reject(failure);
      return;
    }
    for (const answer of answers) answer();
  }
}

interface WaitingWrite {
  readonly work: (trx: Transaction<Schema>) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

async function runAlone(
  trx: ControlledTransaction<Schema>,
  { work, resolve }: WaitingWrite,
): Promise<() => void> {
  const value = await work(trx as unknown as Transaction<Schema>);
  return () => resolve(value);
}

/** Runs one write of a group; gives back what to tell its caller after the commit. Throws if the group is lost. */
async function runUnderSavepoint(
  trx: ControlledTransaction<Schema>,
  write: WaitingWrite,
): Promise<() => void> {
  const nested = await trx.savepoint("write").execute();
  try {
    const value = await write.work(nested as unknown as Transaction<Schema>);
    await nested.releaseSavepoint("write").execute();
    return () => write.resolve(value);
  } catch (error) {
    try {
      await nested.rollbackToSavepoint("write").execute();
      await nested.releaseSavepoint("write").execute();
    } catch {
      // SQLite has rolled everything back by itself, as it does when the disk is full: that is what went wrong.
      throw error;
    }
    const failure = toStorageError(error);
    return () => write.reject(failure);
  }
}

async function rollBack(trx: ControlledTransaction<Schema> | undefined): Promise<void> {
  try {
    await trx?.rollback().execute();
  } catch {
    // SQLite has rolled back already; what went wrong is known to the caller.
  }
}

async function destroy(kysely: Kysely<Schema>): Promise<void> {
  try {
    // Kysely closes only what it has opened, and it opens with the first query.
    await kysely.connection().execute(async () => {});
    await kysely.destroy();
  } catch (error) {
    throw toStorageError(error);
  }
}

function connect(path: string, connections: SqliteConnection[], exclusive = false): SqliteConnection {
  const connection = new Sqlite(path, { timeout: exclusive ? 0 : LOCK_TIMEOUT_MS });
  connections.push(connection);
  // Whoever has a file with a log open holds a lock on it that this one cannot be had beside.
  if (exclusive) connection.pragma("locking_mode = exclusive");
  connection.pragma("journal_mode = wal");
  // SQLite as compiled here would sync a WAL at checkpoints only: a share could be acknowledged and lost.
  connection.pragma("synchronous = full");
  connection.pragma("foreign_keys = on");
  // A share that its owner deleted must not be found in the file's free pages by whoever gets the keys later. It costs
  // writes at deletion only; what is left in the log goes with the next checkpoints.
  connection.pragma("secure_delete = on");
  connection.pragma("trusted_schema = off");
  connection.pragma(`journal_size_limit = ${JOURNAL_SIZE_LIMIT}`);
  if (exclusive) connection.exec("begin immediate; commit");
  return connection;
}

/** Makes the file, readable by its owner alone, before SQLite would with the process's umask. The log takes its mode. */
function prepareFile(location: string): string {
  if (location === "") throw misconfigured("database URL names no file");
  const path = resolve(location);
  if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) {
    throw misconfigured("folder of the database file does not exist, create it first");
  }
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === "ENOSPC" || code === "EDQUOT") throw new StorageError("DATABASE_FULL", { code });
    if (code === "EISDIR") throw misconfigured("database URL names a folder, not a file", code);
    throw misconfigured("database file cannot be opened for writing, check its permissions", code);
  }
  return path;
}

function misconfigured(message: string, code?: string): StorageError {
  return new StorageError("DATABASE_CONFIGURATION", { message, code });
}
