/**
 * What a PostgreSQL server has to be like for a node to keep its word on it: new enough, with text in UTF-8, and with every
 * commit on disk before it is acknowledged.
 */

import { sql } from "kysely";
import type { Database } from "./database.ts";
import { StorageError } from "./errors.ts";

/** 14, as server_version_num counts. */
const LOWEST_VERSION = 140_000;

/** Asks a server. @throws StorageError `DATABASE_CONFIGURATION` that says what to change. */
export async function checkServer(database: Database): Promise<void> {
  const { rows } = await database.read((queries) =>
    sql<{ version: number; encoding: string; commit: string }>`
      select current_setting('server_version_num')::int as version,
        current_setting('server_encoding') as encoding,
        current_setting('synchronous_commit') as commit`.execute(queries),
  );
  const [server] = rows;
  if (server === undefined) throw new StorageError("DATABASE_FAILED");
  if (server.version < LOWEST_VERSION)
    throw unfit("database server is too old, PostgreSQL 14 is needed or later");
  if (server.encoding !== "UTF8") throw unfit("database must be one with the encoding UTF8, create it anew");
  if (server.commit === "off") {
    throw unfit("database would acknowledge what it can still lose, do not set synchronous_commit to off");
  }
}

function unfit(message: string): StorageError {
  return new StorageError("DATABASE_CONFIGURATION", { message });
}
