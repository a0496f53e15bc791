/**
 * Rows that a statement is given as a table. They take one parameter on SQLite, and one for each column on PostgreSQL, however
 * many they are, so that the statement is the same for all numbers of rows: prepared once, and cheap to build.
 */

import { type RawBuilder, sql } from "kysely";
import { toHex } from "../crypto/bytes.ts";
import type { Dialect } from "./database.ts";

/** Types of columns: whole numbers of up to 53 bits, text, bytes. */
export type GivenType = "bigint" | "text" | "bytea";

/** The rows of {@link given}: for each column its type and its value of every row. */
export type GivenColumns = Readonly<
  Record<string, readonly [type: GivenType, values: readonly (number | string | Uint8Array)[]]>
>;

/**
 * Rows as a table `name`, with these columns and `position`, the index of each row, to stand behind `from` or `join`.
 *
 *     sql`select accounts.id from ${given(dialect, "asked", { id: ["bigint", ids] })}
 *         join accounts on accounts.id = asked.id`
 */
export function given(dialect: Dialect, name: string, columns: GivenColumns): RawBuilder<unknown> {
  return dialect === "postgres" ? givenArrays(name, columns) : givenJson(name, columns);
}

function givenArrays(name: string, columns: GivenColumns): RawBuilder<unknown> {
  const arrays = Object.values(columns).map(([type, values]) => sql`${sql.val(values)}::${sql.raw(type)}[]`);
  const names = Object.keys(columns).map((column) => sql.ref(column));
  return sql`(
    select ordinality - 1 as position, ${sql.join(names)}
    from unnest(${sql.join(arrays)}) with ordinality as given (${sql.join(names)}, ordinality)
  ) as ${sql.ref(name)}`;
}

/** SQLite takes no arrays, but reads JSON, in which bytes are hex. */
function givenJson(name: string, columns: GivenColumns): RawBuilder<unknown> {
  const entries = Object.entries(columns);
  const count = entries[0]?.[1][1].length ?? 0;
  const rows = Array.from({ length: count }, (_, index) =>
    entries.map(([, [, values]]) => {
      const value = values[index];
      return value instanceof Uint8Array ? toHex(value) : value;
    }),
  );
  const selected = entries.map(([column, [type]], index) => {
    const value = sql.raw(`value ->> ${index}`);
    return sql`${type === "bytea" ? sql`unhex(${value})` : value} as ${sql.ref(column)}`;
  });
  return sql`(
    select key as position, ${sql.join(selected)} from json_each(${JSON.stringify(rows)})
  ) as ${sql.ref(name)}`;
}
