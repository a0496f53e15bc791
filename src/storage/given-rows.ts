/**
 * Statements over rows that the caller has. PostgreSQL is given all of them at once, as one array for each column. SQLite takes
 * no arrays, but a call of it costs next to nothing, so there the statement is run once for each row: reading rows out of JSON
 * takes three times as long. Either way the statement is the same for all numbers of rows: prepared once, and cheap to build.
 */

import { type CompiledQuery, type RawBuilder, sql } from "kysely";
import type { Dialect, Queries } from "./database.ts";

/** Types of columns: whole numbers of up to 53 bits, text, bytes. */
export type GivenType = "bigint" | "text" | "bytea";

/** Rows by column: for each its type and its value of every row. */
export type GivenColumns = Readonly<
  Record<string, readonly [type: GivenType, values: readonly (number | string | Uint8Array)[]]>
>;

/** A query that SQLite's connection runs once for each row of parameters. */
export interface RepeatedQuery extends CompiledQuery {
  /** The parameters of every run. */
  readonly rows: readonly (readonly unknown[])[];
}

/**
 * Runs a statement over rows and answers with what it returns, in no order. The statement is built around a table `name` with
 * these columns and `position`, the index of each row, to stand behind `from` or `join`. It must come to the same whether it
 * sees all rows at once or one after the other: so it may join, filter and update by them, but not count or limit.
 *
 *     queryGiven(dialect, trx, "asked", { id: ["bigint", ids] }, (asked) => sql`
 *       select accounts.id from ${asked} join accounts on accounts.id = asked.id`)
 */
export async function queryGiven<Row>(
  dialect: Dialect,
  queries: Queries,
  name: string,
  columns: GivenColumns,
  statement: (table: RawBuilder<unknown>) => RawBuilder<Row>,
): Promise<readonly Row[]> {
  const count = rowCount(columns);
  if (count === 0) return [];
  if (dialect === "postgres") {
    const { rows } = await statement(allRows(name, columns)).execute(queries);
    return rows;
  }
  return repeat(queries, statement(oneRow(name, columns, count)), count);
}

/**
 * Inserts rows, and answers with `returning`, in no order. On SQLite each is inserted as values: a statement that selects what
 * it inserts keeps a copy of every page that it changes, to take back what it did before a row that fails.
 */
export async function insertGiven<Row>(
  dialect: Dialect,
  queries: Queries,
  table: string,
  columns: GivenColumns,
  returning: readonly (keyof Row & string)[] = [],
): Promise<readonly Row[]> {
  const count = rowCount(columns);
  if (count === 0) return [];
  const names = sql.join(Object.keys(columns).map((column) => sql.ref(column)));
  const end =
    returning.length === 0 ? sql`` : sql`returning ${sql.join(returning.map((one) => sql.ref(one)))}`;
  const start = sql`insert into ${sql.table(table)} (${names})`;
  if (dialect === "postgres") {
    return (
      await sql<Row>`${start} select ${names} from ${allRows("given", columns)} ${end}`.execute(queries)
    ).rows;
  }
  const values = sql.join(Object.values(columns).map(([, ofRows]) => sql.val(ofRows)));
  return repeat(queries, sql<Row>`${start} values (${values}) ${end}`, count);
}

/** Runs a statement once for each row. Its parameters that are arrays stand for a column: SQLite takes no arrays otherwise. */
async function repeat<Row>(
  queries: Queries,
  statement: RawBuilder<Row>,
  count: number,
): Promise<readonly Row[]> {
  const query = statement.compile(queries);
  const rows = Array.from({ length: count }, (_, index) =>
    query.parameters.map((parameter) => (Array.isArray(parameter) ? parameter[index] : parameter)),
  );
  const repeated: RepeatedQuery = { ...query, parameters: rows[0] ?? [], rows };
  return (await queries.executeQuery<Row>(repeated as CompiledQuery<Row>)).rows;
}

function rowCount(columns: GivenColumns): number {
  return Object.values(columns)[0]?.[1].length ?? 0;
}

function allRows(name: string, columns: GivenColumns): RawBuilder<unknown> {
  const arrays = Object.values(columns).map(([type, values]) => sql`${sql.val(values)}::${sql.raw(type)}[]`);
  const names = Object.keys(columns).map((column) => sql.ref(column));
  return sql`(
    select ordinality - 1 as position, ${sql.join(names)}
    from unnest(${sql.join(arrays)}) with ordinality as given (${sql.join(names)}, ordinality)
  ) as ${sql.ref(name)}`;
}

function oneRow(name: string, columns: GivenColumns, count: number): RawBuilder<unknown> {
  const positions = Array.from({ length: count }, (_, index) => index);
  const all = [
    ["position", positions] as const,
    ...Object.entries(columns).map(([c, [, v]]) => [c, v] as const),
  ];
  const values = all.map(([column, ofRows]) => sql`${sql.val(ofRows)} as ${sql.ref(column)}`);
  return sql`(select ${sql.join(values)}) as ${sql.ref(name)}`;
}
