/**
 * The audit log of each domain, added to in the transaction of what it tells about. Whoever adds holds the domain's row, so
 * that the records of a domain follow each other; the database itself refuses to change or delete one.
 */

import { AUDIT_START, type AuditEvent, buildAuditRecord } from "../protocol/audit-record.ts";
import type { Database, Queries } from "./database.ts";
import type { AuditStore } from "./stores.ts";

/** The audit logs of a database. */
export function createAuditStore(database: Database): AuditStore {
  return {
    list: (domain, { limit, before }) =>
      database.read((queries) =>
        queries
          .selectFrom("audit_records")
          .select(["sequence", "body", "hash"])
          .where("domain", "=", domain)
          .$if(before !== undefined, (query) => query.where("sequence", "<", before ?? 0))
          .orderBy("sequence", "desc")
          .limit(limit)
          .execute(),
      ),
  };
}

/** Adds a record to the log of a domain, whose row must be locked. */
export async function appendAuditRecord(trx: Queries, domain: string, event: AuditEvent): Promise<void> {
  const last = await trx
    .selectFrom("audit_records")
    .select(["sequence", "hash"])
    .where("domain", "=", domain)
    .orderBy("sequence", "desc")
    .limit(1)
    .executeTakeFirst();
  await trx
    .insertInto("audit_records")
    .values({ domain, ...buildAuditRecord(domain, last ?? AUDIT_START, event) })
    .execute();
}
