// The database of a node, seen from outside: what a thief of the disk, an operator or a test can read and change behind
// the node's back.

import { createHash } from "node:crypto";
import SqliteDatabase from "better-sqlite3";
import pg from "pg";

/** A value of a column. */
export type SqlValue = string | number | Uint8Array | null;

/** Every table with something that its account can see, and columns in it that change by themselves. */
const WATCHED_TABLES: Readonly<Record<string, readonly string[]>> = {
  accounts: [],
  sessions: ["last_used_at"],
  key_sets: [],
  sealed_key_sets: [],
  sealed_contacts: [],
  contacts: [],
  first_contacts: [],
  notices: [],
  requests: [],
  sender_key_sets: [],
  received_shares: [],
  received_envelopes: [],
  tombstones: [],
  sent_shares: [],
  sent_envelopes: [],
  spent_challenges: [],
  peer_domains: [],
};

/** Runs one statement with `?` for its parameters, and answers with the rows that it gives. */
export async function query(
  database: string,
  statement: string,
  parameters: readonly SqlValue[] = [],
): Promise<Record<string, unknown>[]> {
  const path = /^sqlite:(.+)$/.exec(database)?.[1];
  if (path !== undefined) {
    const db = new SqliteDatabase(path, { timeout: 10_000 });
    try {
      const prepared = db.prepare(statement);
      if (prepared.reader) return prepared.all(...parameters) as Record<string, unknown>[];
      prepared.run(...parameters);
      return [];
    } finally {
      db.close();
    }
  }
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  try {
    let position = 0;
    const numbered = statement.replaceAll("?", () => `$${++position}`);
    const { rows } = await client.query(numbered, parameters.map(toBuffer));
    return rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

/**
 * Lets whatever waits in a node's outbox be due now, as if an hour had passed: leases of those who died run out, and what
 * was put off is tried again.
 */
export async function letAnHourPass(database: string): Promise<void> {
  await query(database, "update sent_shares set due_at = 1 where due_at is not null");
  await query(database, "update outbox_destinations set due_at = 1 where due_at is not null");
}

/**
 * What a database holds: for each table how many rows it has and a digest of them all. Equal before and after something
 * that was refused means that it changed nothing.
 */
export async function contentOf(database: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const [table, volatile] of Object.entries(WATCHED_TABLES)) {
    const rows = await query(database, `select * from ${table}`);
    const lines = rows.map((row) => {
      for (const column of volatile) delete row[column];
      return JSON.stringify(row);
    });
    const digest = createHash("sha256").update(lines.sort().join("\n")).digest("hex").slice(0, 16);
    content[table] = `${rows.length} rows, ${digest}`;
  }
  return content;
}

function toBuffer(value: SqlValue): unknown {
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}
