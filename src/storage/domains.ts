/** Domains that are hosted for their owners: claims, consents, and what checks of them came to. */

import { sameBytes } from "../protocol/strict-message.ts";
import { appendAuditRecord } from "./audit.ts";
import { type Database, lockFreeRows, type Queries } from "./database.ts";
import { actOnDomain, type LockedDomain, lockDomain, type Note } from "./domain-acts.ts";
import type { HostedDomainTable } from "./schema.ts";
import { spendChallenge } from "./spent-challenges.ts";
import type {
  ConsentRecord,
  ConsentSeen,
  DomainCheckRecord,
  DomainStore,
  HostedDomainRecord,
} from "./stores.ts";

/** The node's own domains are checked by their peers alone. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** The hosted domains of a database. */
export function createDomainStore(database: Database): DomainStore {
  return {
    summaries: () =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("hosted_domains")
          .select(["domain", "state", "registration_mode", "domain_key_hash", "min_serial"])
          .execute();
        return rows.map((row) => ({
          domain: row.domain,
          state: row.state,
          registrationMode: row.registration_mode,
          domainKeyHash: row.domain_key_hash,
          minSerial: row.min_serial,
        }));
      }),

    get: (domain) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("hosted_domains")
          .selectAll()
          .where("domain", "=", domain)
          .executeTakeFirst();
        return row && toRecord(row);
      }),

    list: (administrator, { limit, after }) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("hosted_domains")
          .selectAll()
          .where("administrator", "=", administrator)
          .$if(after !== undefined, (query) => query.where("domain", ">", after ?? ""))
          .orderBy("domain")
          .limit(limit)
          .execute();
        return rows.map(toRecord);
      }),

    usage: (domain) => database.read((queries) => readUsage(queries, domain)),

    claim: (claim) => database.write((trx) => claimDomain(database, trx, claim)),

    install: (domain, consent, now) => database.write((trx) => install(database, trx, domain, consent, now)),

    renew: (act, { seen, consent, check }) =>
      database.write((trx) =>
        actOnDomain(database, trx, act, async (note, locked) => {
          if (!isSeen(locked, seen)) return { kind: "conflict" };
          await update(trx, act.domain, { ...toConsentColumns(consent), ...toCheckColumns(check) });
          await note({ action: "authorization.renew", subject: `${consent.serial}` });
          await noteState(note, locked, check, act.domain);
          return { kind: "renewed" };
        }),
      ),

    setRegistrationMode: (act, mode) =>
      database.write((trx) =>
        actOnDomain(database, trx, act, async (note, locked) => {
          if (locked.registration_mode !== mode) {
            await update(trx, act.domain, { registration_mode: mode });
            await note({ action: "domain.registration", subject: mode.toLowerCase() });
          }
          return { kind: "set" };
        }),
      ),

    takeDue: (now, until, limit) =>
      database.write(async (trx) => {
        const due = await trx
          .selectFrom("hosted_domains")
          .selectAll()
          .where("next_check_at", "<=", now)
          .orderBy("next_check_at")
          .limit(limit)
          .$call((query) => lockFreeRows(database, query))
          .execute();
        for (const { domain } of due) await update(trx, domain, { next_check_at: until });
        return due.map((row) => toRecord({ ...row, next_check_at: until }));
      }),

    settleCheck: (domain, seen, check) =>
      database.write(async (trx) => {
        const locked = await lockDomain(database, trx, domain);
        if (locked === undefined || !isSeen(locked, seen)) return false;
        await update(trx, domain, toCheckColumns(check));
        await noteState(noteAs(trx, domain, check.checkedAt, ""), locked, check, domain);
        return true;
      }),
  };
}

/** Accounts of a domain, and bytes that they have stored. */
export async function readUsage(
  queries: Queries,
  domain: string,
): Promise<{ accounts: number; storedBytes: number }> {
  const row = await queries
    .selectFrom("accounts")
    .select((eb) => [
      eb.fn.countAll<number | string>().as("accounts"),
      eb.fn.sum<number | string | null>("stored_bytes").as("stored_bytes"),
    ])
    .where("domain", "=", domain)
    .where("deleted_at", "=", 0)
    .executeTakeFirstOrThrow();
  return { accounts: Number(row.accounts), storedBytes: Number(row.stored_bytes ?? 0) };
}

type Claim = Parameters<DomainStore["claim"]>[0];

async function claimDomain(
  database: Database,
  trx: Queries,
  { record, challenge, seen, maxPerAdministrator, maxDomains }: Claim,
): Promise<Awaited<ReturnType<DomainStore["claim"]>>> {
  const { domain, administrator } = record;
  const locked = await lockDomain(database, trx, domain);
  if ((locked === undefined) !== (seen === undefined)) return { kind: "conflict" };
  if (locked && seen && !isSeen(locked, seen)) return { kind: "conflict" };
  if (locked?.administrator !== administrator) {
    const administered = await count(trx, administrator);
    if (administered >= maxPerAdministrator) return { kind: "too-many-of-administrator" };
  }
  if (locked === undefined && (await count(trx)) >= maxDomains) return { kind: "too-many" };
  if (!(await spendChallenge(trx, challenge))) return { kind: "challenge-spent" };
  if (locked === undefined) {
    const inserted = await trx
      .insertInto("hosted_domains")
      .values(toRow(record))
      .onConflict((conflict) => conflict.column("domain").doNothing())
      .returning("domain")
      .executeTakeFirst();
    // Somebody else was first. The challenge is spent all the same: there was no other reason to refuse it.
    if (inserted === undefined) return { kind: "conflict" };
  } else {
    await update(trx, domain, {
      administrator,
      ...toConsentColumns(record),
      ...toCheckColumns(record),
    });
  }
  const note = noteAs(trx, domain, record.checkedAt, administrator);
  await note({ action: "claim.complete", subject: `${record.serial}` });
  if (locked !== undefined) {
    if (locked.administrator !== administrator) {
      await note({ action: "claim.administrator", subject: locked.administrator });
    }
    await noteState(note, locked, record, domain);
  }
  return { kind: "claimed" };
}

async function install(
  database: Database,
  trx: Queries,
  domain: string,
  { minSerial, ...consent }: Parameters<DomainStore["install"]>[1],
  now: number,
): Promise<boolean> {
  const locked = await lockDomain(database, trx, domain);
  if (locked !== undefined && locked.serial >= consent.serial) {
    return locked.serial === consent.serial && sameBytes(locked.domain_key_hash, consent.domainKeyHash);
  }
  const row = toRow({
    domain,
    administrator: "",
    registrationMode: "CLOSED",
    claimedAt: now,
    ...consent,
    state: "ACTIVE",
    checks: "[]",
    checkedAt: now,
    failingSince: 0,
    nextCheckAt: NEVER,
    minSerial,
  });
  await trx
    .insertInto("hosted_domains")
    .values(row)
    .onConflict((conflict) => conflict.column("domain").doUpdateSet(row))
    .execute();
  await noteAs(trx, domain, now, "")({ action: "authorization.renew", subject: `${consent.serial}` });
  return true;
}

function noteAs(trx: Queries, domain: string, time: number, actor: string): Note {
  return (deed) => appendAuditRecord(trx, domain, { time, actor, ...deed });
}

async function count(trx: Queries, administrator?: string): Promise<number> {
  const { domains } = await trx
    .selectFrom("hosted_domains")
    .select((eb) => eb.fn.countAll<number | string>().as("domains"))
    .$if(administrator !== undefined, (query) => query.where("administrator", "=", administrator ?? ""))
    .executeTakeFirstOrThrow();
  return Number(domains);
}

async function noteState(
  note: Note,
  { state }: LockedDomain,
  check: Pick<DomainCheckRecord, "state">,
  domain: string,
): Promise<void> {
  if (state === check.state) return;
  await note({ action: check.state === "ACTIVE" ? "domain.restore" : "domain.suspend", subject: domain });
}

function isSeen(locked: LockedDomain, seen: ConsentSeen): boolean {
  return locked.serial === seen.serial && sameBytes(locked.domain_key_hash, seen.domainKeyHash);
}

async function update(trx: Queries, domain: string, columns: Partial<HostedDomainTable>): Promise<void> {
  await trx.updateTable("hosted_domains").set(columns).where("domain", "=", domain).execute();
}

function toRow(record: HostedDomainRecord): HostedDomainTable {
  return {
    domain: record.domain,
    administrator: record.administrator,
    registration_mode: record.registrationMode,
    claimed_at: record.claimedAt,
    ...toConsentColumns(record),
    ...toCheckColumns(record),
  };
}

function toConsentColumns({ consent, domainKeyHash, serial, notAfter }: ConsentRecord) {
  return { consent, domain_key_hash: domainKeyHash, serial, not_after: notAfter };
}

function toCheckColumns(check: DomainCheckRecord) {
  return {
    state: check.state,
    checks: check.checks,
    checked_at: check.checkedAt,
    failing_since: check.failingSince,
    next_check_at: check.nextCheckAt,
    min_serial: check.minSerial,
  };
}

function toRecord(row: HostedDomainTable): HostedDomainRecord {
  return {
    domain: row.domain,
    administrator: row.administrator,
    state: row.state,
    registrationMode: row.registration_mode,
    consent: row.consent,
    domainKeyHash: row.domain_key_hash,
    serial: row.serial,
    notAfter: row.not_after,
    minSerial: row.min_serial,
    checks: row.checks,
    checkedAt: row.checked_at,
    failingSince: row.failing_since,
    nextCheckAt: row.next_check_at,
    claimedAt: row.claimed_at,
  };
}
