/**
 * What other domains have proven. Rows are replaced under the revision that was read: whoever judged a domain by an older
 * memory than there is has to judge it again.
 */

import type { Selectable } from "kysely";
import type { DomainMemory } from "../protocol/domain-memory.ts";
import type { Database } from "./database.ts";
import type { PeerDomainTable } from "./schema.ts";
import type { PeerDomainStore, RememberedDomain } from "./stores.ts";

/** The peers' domains of a database. */
export function createPeerDomainStore(database: Database): PeerDomainStore {
  return {
    read: (domain) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("peer_domains")
          .selectAll()
          .where("domain", "=", domain)
          .executeTakeFirst();
        return row && toRecord(row);
      }),
    replace: (domain, revision, memory) =>
      database.write(async (trx) => {
        const columns = { ...toColumns(memory), revision: revision + 1 };
        if (revision === 0) {
          const { numInsertedOrUpdatedRows } = await trx
            .insertInto("peer_domains")
            .values({ domain, ...columns })
            .onConflict((conflict) => conflict.column("domain").doNothing())
            .executeTakeFirst();
          return numInsertedOrUpdatedRows === 1n;
        }
        const { numUpdatedRows } = await trx
          .updateTable("peer_domains")
          .set(columns)
          .where("domain", "=", domain)
          .where("revision", "=", revision)
          .executeTakeFirst();
        return numUpdatedRows === 1n;
      }),
    list: ({ after = "", limit, waiting = false }) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("peer_domains")
          .selectAll()
          .where("domain", ">", after)
          .$if(waiting, (query) => query.where("pending_last_seen", ">", 0))
          .orderBy("domain")
          .limit(limit)
          .execute();
        return rows.map(toRecord);
      }),
    waiting: (lastSeenBefore, limit) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("peer_domains")
          .select("domain")
          .where("pending_last_seen", ">", 0)
          .where("pending_last_seen", "<", lastSeenBefore)
          .orderBy("pending_last_seen")
          .limit(limit)
          .execute();
        return rows.map(({ domain }) => domain);
      }),
  };
}

function toRecord(row: Selectable<PeerDomainTable>): RememberedDomain {
  const pending = {
    keyHash: row.pending_key_hash,
    since: row.pending_since,
    lastSeen: row.pending_last_seen,
  };
  return {
    domain: row.domain,
    revision: row.revision,
    memory: {
      keyHash: row.key_hash,
      serial: row.serial,
      bodyHash: row.body_hash,
      txtSeen: row.txt_seen === 1,
      provenAt: row.proven_at,
      ...(pending.lastSeen > 0 && { pending }),
    },
  };
}

function toColumns({ pending, ...memory }: DomainMemory): Omit<PeerDomainTable, "domain" | "revision"> {
  return {
    key_hash: memory.keyHash,
    serial: memory.serial,
    body_hash: memory.bodyHash,
    txt_seen: memory.txtSeen ? 1 : 0,
    proven_at: memory.provenAt,
    pending_key_hash: pending?.keyHash ?? "",
    pending_since: pending?.since ?? 0,
    pending_last_seen: pending?.lastSeen ?? 0,
  };
}
