/** Accounts of hosted domains, as their administrators see, suspend and remove them. */

import { endAccount } from "./accounts.ts";
import { type Database, lockAccount, type Queries } from "./database.ts";
import { actOnDomain } from "./domain-acts.ts";
import { purgeAccount } from "./purge.ts";
import type { DomainAccountRecord, DomainAccountStore } from "./stores.ts";

/** The accounts of a database, by domain. */
export function createDomainAccountStore(database: Database): DomainAccountStore {
  return {
    list: (domain, { limit, after }) =>
      database.read(async (queries) => {
        const rows = await selectAccounts(queries, domain)
          .$if(after !== undefined, (query) => query.where("address", ">", after ?? ""))
          .orderBy("address")
          .limit(limit)
          .execute();
        return rows.map(toRecord);
      }),

    setSuspended: (act, address, suspended) =>
      database.write(async (trx) => {
        const account = await lockAccountOf(database, trx, act.domain, address);
        return actOnDomain(database, trx, act, async (note) => {
          if (account === undefined) return { kind: "unknown" };
          const set = { kind: "set", account: { ...account, suspended } } as const;
          if (account.suspended === suspended) return { ...set, endedSessionIds: [] };
          await trx
            .updateTable("accounts")
            .set({ suspended_at: suspended ? act.time : 0 })
            .where("id", "=", account.id)
            .execute();
          await note({ action: suspended ? "account.suspend" : "account.restore", subject: address });
          const ended = suspended
            ? await trx.deleteFrom("sessions").where("account_id", "=", account.id).returning("id").execute()
            : [];
          return { ...set, endedSessionIds: ended.map(({ id }) => id) };
        });
      }),

    async remove(act, address) {
      const removed = await database.write(async (trx): ReturnType<DomainAccountStore["remove"]> => {
        const account = await lockAccountOf(database, trx, act.domain, address);
        return actOnDomain(database, trx, act, async (note) => {
          if (account === undefined) return { kind: "unknown" };
          const endedSessionIds = (await endAccount(database, trx, account.id, act.time)) ?? [];
          await note({ action: "account.remove", subject: address });
          return { kind: "removed", accountId: account.id, endedSessionIds };
        });
      });
      if (removed.kind === "removed") await purgeAccount(database, removed.accountId);
      return removed;
    },
  };
}

/** Locks the account before anything of its domain is. Undefined unless the address is an account of the domain. */
async function lockAccountOf(
  database: Database,
  trx: Queries,
  domain: string,
  address: string,
): Promise<DomainAccountRecord | undefined> {
  const found = await selectAccounts(trx, domain).where("address", "=", address).executeTakeFirst();
  if (found === undefined || (await lockAccount(database, trx, found.id)) === undefined) return undefined;
  // Read again now that nobody else can change it.
  const row = await selectAccounts(trx, domain).where("address", "=", address).executeTakeFirst();
  return row && toRecord(row);
}

function selectAccounts(queries: Queries, domain: string) {
  return queries
    .selectFrom("accounts")
    .select(["id", "address", "created_at", "stored_bytes", "suspended_at"])
    .where("domain", "=", domain)
    .where("deleted_at", "=", 0);
}

function toRecord(row: {
  readonly id: number;
  readonly address: string;
  readonly created_at: number;
  readonly stored_bytes: number;
  readonly suspended_at: number;
}): DomainAccountRecord {
  return {
    id: row.id,
    address: row.address,
    createdAt: row.created_at,
    storedBytes: row.stored_bytes,
    suspended: row.suspended_at !== 0,
  };
}
