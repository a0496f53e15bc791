/**
 * Copies all that a node stores from one database to another, SQLite or PostgreSQL, in one transaction on either side: what
 * is read is one state of the source, and the target has all of it or nothing. Both are then read and compared, row by row,
 * before anything is committed.
 */

import { createHash } from "node:crypto";
import { sql, type Transaction } from "kysely";
import { toHex, utf8 } from "../crypto/bytes.ts";
import type { Database, Queries } from "./database.ts";
import { StorageError } from "./errors.ts";
import { migrateToLatest } from "./migrations/index.ts";
import { APPLICATION_NAME, HINTS_APPLICATION_NAME } from "./postgres-names.ts";
import { checkServer } from "./postgres-server.ts";
import type { Schema } from "./schema.ts";

/** A table as it was copied. */
export interface CopiedTable {
  readonly table: string;
  readonly rows: number;
  /** 16 bytes in hex: the sum of the SHA-256 of each row, modulo 2^128, which no order of rows changes. */
  readonly checksum: string;
}

/** How far a copy is. */
export interface CopyProgress {
  readonly step: "copying" | "comparing";
  readonly table: string;
  /** From 0 to 1, over both steps. */
  readonly done: number;
}

/** How a copy is watched and ended. */
export interface CopyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
}

type TableName = keyof Schema;

interface CopyRule {
  /** The primary key, by which it is paged. */
  readonly key: readonly string[];
  /** Whether it numbers its rows itself. */
  readonly numbered?: true;
  /** Whether a row may be so large that few make a page. */
  readonly large?: true;
}

const ROWS_PER_PAGE = 500;
const LARGE_ROWS_PER_PAGE = 50;
const CHECKSUM_BYTES = 16;

/** Every table, in an order in which each comes after those that it refers to. */
const RULES: Readonly<Record<TableName, CopyRule>> = {
  accounts: { key: ["id"], numbered: true },
  spent_challenges: { key: ["id"] },
  sessions: { key: ["id"] },
  key_sets: { key: ["account_id", "number"] },
  sealed_key_sets: { key: ["account_id", "number"] },
  sealed_contacts: { key: ["account_id"], large: true },
  contacts: { key: ["account_id", "address"] },
  first_contacts: { key: ["id"], numbered: true },
  notices: { key: ["id"], numbered: true },
  requests: { key: ["account_id", "request_id"] },
  sender_key_sets: { key: ["hash"] },
  received_shares: { key: ["id"], numbered: true },
  received_envelopes: { key: ["id"], large: true },
  tombstones: { key: ["account_id", "share_id"] },
  sent_shares: { key: ["id"], numbered: true },
  sent_envelopes: { key: ["id"], large: true },
  outbox_destinations: { key: ["destination"] },
  secrets: { key: ["name"] },
  peer_domains: { key: ["domain"] },
  hosted_domains: { key: ["domain"], large: true },
  invitations: { key: ["id"] },
  audit_records: { key: ["domain", "sequence"] },
  node_keys: { key: ["number"] },
};
const TABLES = Object.keys(RULES) as readonly TableName[];

/**
 * Copies a database that no node runs on to one that is empty. Both are brought up to date first.
 *
 * @throws StorageError, `DATABASE_NOT_EMPTY`, `DATABASE_IN_USE` or `COPY_DIFFERS` among its reasons, or the signal's reason.
 * The target then holds no more than empty tables.
 */
export async function copyDatabase(
  source: Database,
  target: Database,
  options: CopyOptions = {},
): Promise<readonly CopiedTable[]> {
  await requireNode(source);
  for (const database of [source, target]) {
    await requireUnused(database);
    await migrateToLatest(database);
  }
  return source.write(async (from) => {
    if (source.dialect === "postgres") {
      await sql`set transaction isolation level repeatable read, read only`.execute(from);
    }
    return target.write((to) => copyAll(source, from, target, to, options));
  });
}

/** A mistyped name must not lead to a new, empty node. */
async function requireNode(database: Database): Promise<void> {
  const tables = await database.read((queries) => queries.introspection.getTables());
  if (!tables.some(({ name }) => name === "sealed_key_sets")) {
    throw new StorageError("DATABASE_CONFIGURATION", {
      message: "source database holds no node, check its URL",
    });
  }
}

/** PostgreSQL knows who is connected. A SQLite file that is open elsewhere could not be opened for this. */
async function requireUnused(database: Database): Promise<void> {
  if (database.dialect === "sqlite") return;
  await checkServer(database);
  const nodes = [APPLICATION_NAME, HINTS_APPLICATION_NAME];
  const { rows } = await database.read((queries) =>
    sql`select 1 from pg_stat_activity where datname = current_database()
      and application_name in (${sql.join(nodes)}) limit 1`.execute(queries),
  );
  if (rows.length > 0) throw new StorageError("DATABASE_IN_USE");
}

async function copyAll(
  source: Database,
  from: Queries,
  target: Database,
  to: Transaction<Schema>,
  { signal, onProgress }: CopyOptions,
): Promise<readonly CopiedTable[]> {
  if (target.dialect === "postgres") {
    // A node that is started on the target now waits, and does not write into the middle of this.
    await sql`lock table ${sql.join(TABLES.map((table) => sql.table(table)))} in exclusive mode`.execute(to);
  }
  const total = 2 * (await countRows(from));
  let done = 0;
  const report = (step: CopyProgress["step"], table: TableName, rows: number) => {
    signal?.throwIfAborted();
    done += rows;
    onProgress?.({ step, table, done: total === 0 ? 1 : done / total });
  };
  for (const table of TABLES) {
    if ((await readPage(to, table, undefined)).length > 0) throw new StorageError("DATABASE_NOT_EMPTY");
  }
  const copied: CopiedTable[] = [];
  for (const table of TABLES) {
    const tally = new Tally();
    for await (const rows of pages(from, table)) {
      report("copying", table, rows.length);
      await insertRows(target, to, table, rows);
      tally.add(rows);
    }
    if (RULES[table].numbered) await setCounter(target, to, table, await readCounter(source, from, table));
    copied.push({ table, ...tally.result() });
  }
  for (const { table, rows, checksum } of copied as readonly (CopiedTable & { table: TableName })[]) {
    const tally = new Tally();
    for await (const page of pages(to, table)) {
      report("comparing", table, page.length);
      tally.add(page);
    }
    const result = tally.result();
    if (result.rows !== rows || result.checksum !== checksum) throw new StorageError("COPY_DIFFERS");
  }
  signal?.throwIfAborted();
  return copied;
}

type Row = Readonly<Record<string, string | number | Uint8Array | null>>;

async function countRows(queries: Queries): Promise<number> {
  let count = 0;
  for (const table of TABLES) {
    const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(queries);
    count += rows[0]?.n ?? 0;
  }
  return count;
}

/** A table's rows, page by page in the order of its key. */
async function* pages(queries: Queries, table: TableName): AsyncGenerator<readonly Row[]> {
  let last: Row | undefined;
  for (;;) {
    const rows = await readPage(queries, table, last);
    last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
  }
}

async function readPage(queries: Queries, table: TableName, after: Row | undefined): Promise<readonly Row[]> {
  const { key, large } = RULES[table];
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const beyond =
    after === undefined ? sql`` : sql`where (${columns}) > (${sql.join(key.map((column) => after[column]))})`;
  const { rows } = await sql<Row>`
    select * from ${sql.table(table)} ${beyond} order by ${columns}
    limit ${large ? LARGE_ROWS_PER_PAGE : ROWS_PER_PAGE}`.execute(queries);
  return rows;
}

async function insertRows(
  database: Database,
  queries: Queries,
  table: TableName,
  rows: readonly Row[],
): Promise<void> {
  const columns = Object.keys(rows[0] ?? {});
  const overriding = database.dialect === "postgres" ? sql`overriding system value` : sql``;
  const values = rows.map((row) => sql`(${sql.join(columns.map((column) => row[column]))})`);
  await sql`
    insert into ${sql.table(table)} (${sql.join(columns.map((column) => sql.ref(column)))})
    ${overriding} values ${sql.join(values)}`.execute(queries);
}

/** The highest number that a table ever gave to a row, or 0. */
async function readCounter(database: Database, queries: Queries, table: TableName): Promise<number> {
  const counter =
    database.dialect === "postgres"
      ? sql<{ n: number | null }>`select pg_sequence_last_value(pg_get_serial_sequence(${table}, 'id')) as n`
      : sql<{ n: number | null }>`select seq as n from sqlite_sequence where name = ${table}`;
  const { rows } = await counter.execute(queries);
  return rows[0]?.n ?? 0;
}

async function setCounter(
  database: Database,
  queries: Queries,
  table: TableName,
  value: number,
): Promise<void> {
  if (value === 0) return;
  if (database.dialect === "postgres") {
    await sql`select setval(pg_get_serial_sequence(${table}, 'id'), ${value})`.execute(queries);
  } else {
    await sql`delete from sqlite_sequence where name = ${table}`.execute(queries);
    await sql`insert into sqlite_sequence (name, seq) values (${table}, ${value})`.execute(queries);
  }
}

/** Counts rows and sums up their digests. */
class Tally {
  #rows = 0;
  #sum = 0n;

  add(rows: readonly Row[]): void {
    this.#rows += rows.length;
    for (const row of rows) this.#sum += digest(row);
  }

  result(): Pick<CopiedTable, "rows" | "checksum"> {
    const checksum = BigInt.asUintN(8 * CHECKSUM_BYTES, this.#sum).toString(16);
    return { rows: this.#rows, checksum: checksum.padStart(2 * CHECKSUM_BYTES, "0") };
  }
}

/** The same for equal rows whichever database they come from, and for no others: each value with its type and length. */
function digest(row: Row): bigint {
  const hash = createHash("sha256");
  for (const column of Object.keys(row).sort()) {
    const value = row[column] ?? null;
    const bytes = value === null ? utf8("") : value instanceof Uint8Array ? value : utf8(String(value));
    const type = value === null ? "null" : value instanceof Uint8Array ? "bytes" : typeof value;
    hash.update(`${column} ${type} ${bytes.length}\n`).update(bytes);
  }
  return BigInt(`0x${toHex(hash.digest().subarray(0, CHECKSUM_BYTES))}`);
}
