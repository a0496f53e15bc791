/**
 * Column types under names that mean the same on SQLite and PostgreSQL, and how a table is closed on either: SQLite checks
 * types only in STRICT tables, and keeps a table with a composite key in the order of that key only WITHOUT ROWID.
 */

import { type ColumnDefinitionBuilder, type CreateTableBuilder, type RawBuilder, sql } from "kysely";
import type { Dialect, Queries } from "../database.ts";

/** Types of columns and tables in one dialect. */
export interface ColumnTypes {
  /** A whole number of up to 53 bits. */
  readonly integer: RawBuilder<unknown>;
  readonly text: RawBuilder<unknown>;
  readonly bytes: RawBuilder<unknown>;
  /** Makes an integer column the primary key that numbers itself, never using a number twice. */
  readonly numbered: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
  /** Ends a table with an `id` of its own. */
  readonly table: <B extends CreateTableBuilder<string, string>>(table: B) => B;
  /** Ends a table whose rows are small and found by a composite primary key. */
  readonly keyedTable: <B extends CreateTableBuilder<string, string>>(table: B) => B;
  /** Has the database refuse that rows of a table are changed or deleted. */
  readonly refuseChanges: (db: Queries, table: string) => Promise<void>;
}

/** The types of a dialect. */
export function columnTypes(dialect: Dialect): ColumnTypes {
  return dialect === "sqlite" ? SQLITE : POSTGRES;
}

const SQLITE: ColumnTypes = {
  integer: sql`integer`,
  text: sql`text`,
  bytes: sql`blob`,
  numbered: (column) => column.primaryKey().autoIncrement(),
  table: (table) => table.modifyEnd(sql`strict`) as typeof table,
  keyedTable: (table) => table.modifyEnd(sql`strict, without rowid`) as typeof table,
  async refuseChanges(db, table) {
    for (const change of ["update", "delete"]) {
      await sql`create trigger ${sql.ref(`${table}_no_${change}`)} before ${sql.raw(change)} on ${sql.table(table)}
        begin select raise(abort, 'rows are only ever added'); end`.execute(db);
    }
  },
};

const POSTGRES: ColumnTypes = {
  integer: sql`bigint`,
  text: sql`text`,
  bytes: sql`bytea`,
  numbered: (column) => column.primaryKey().generatedAlwaysAsIdentity(),
  table: (table) => table,
  keyedTable: (table) => table,
  async refuseChanges(db, table) {
    const refuse = sql.ref(`${table}_refuse_change`);
    await sql`create function ${refuse}() returns trigger language plpgsql as
      $$ begin raise exception 'rows are only ever added'; end $$`.execute(db);
    await sql`create trigger ${sql.ref(`${table}_no_change`)} before update or delete or truncate on ${sql.table(table)}
      for each statement execute function ${refuse}()`.execute(db);
  },
};
