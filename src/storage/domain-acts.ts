/**
 * Acts on hosted domains: done under the lock of the domain's row, only by who administers it at that moment, and told by its
 * audit log. Locks are taken in one order: accounts before domains.
 */

import { appendAuditRecord } from "./audit.ts";
import { type Database, lockRows, type Queries } from "./database.ts";
import type { HostedDomainTable } from "./schema.ts";
import type { AuditDeed, DomainAct, NotAdministrator } from "./stores.ts";

/** The columns of a domain that decide what may be done to it. */
export type LockedDomain = Pick<
  HostedDomainTable,
  "administrator" | "state" | "registration_mode" | "domain_key_hash" | "serial"
>;

const NOT_ADMINISTRATOR: NotAdministrator = { kind: "not-administrator" };

/** Locks the row of a domain until the transaction ends. Undefined if it is not hosted. */
export function lockDomain(
  database: Database,
  trx: Queries,
  domain: string,
): Promise<LockedDomain | undefined> {
  return trx
    .selectFrom("hosted_domains")
    .select(["administrator", "state", "registration_mode", "domain_key_hash", "serial"])
    .where("domain", "=", domain)
    .$call((query) => lockRows(database, query))
    .executeTakeFirst();
}

/** Writes to a domain's audit log. */
export type Note = (deed: AuditDeed) => Promise<void>;

/** Does an act of a domain's administrator. `work` notes what it did; the domain's row is locked. */
export async function actOnDomain<Result>(
  database: Database,
  trx: Queries,
  { domain, actor, time }: DomainAct,
  work: (note: Note, locked: LockedDomain) => Promise<Result>,
): Promise<Result | NotAdministrator> {
  const locked = await lockDomain(database, trx, domain);
  if (locked?.administrator !== actor) return NOT_ADMINISTRATOR;
  return work((deed) => appendAuditRecord(trx, domain, { time, actor, ...deed }), locked);
}
