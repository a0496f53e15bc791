/** Accounts, their passwords, their sealed contacts and their end. */

import { ACCOUNT_COLUMNS, toAccountRecord, toPasswordColumns } from "./account-records.ts";
import { type Database, lockAccount, type Queries } from "./database.ts";
import { admit, noteAdmission } from "./invitations.ts";
import { insertKeySet } from "./key-sets.ts";
import { addNotice } from "./notices.ts";
import { purgeAccount } from "./purge.ts";
import { earlierResult, readEarlierResult, remember } from "./requests.ts";
import { insertSession } from "./sessions.ts";
import { spendChallenge } from "./spent-challenges.ts";
import type { AccountStore, NewAccount } from "./stores.ts";

const NOTHING = new Uint8Array(0);

/** Tables of an account that are small enough to be emptied in the deleting transaction. */
const SMALL_TABLES = [
  "sealed_key_sets",
  "key_sets",
  "sealed_contacts",
  "contacts",
  "first_contacts",
  "notices",
  "requests",
] as const;

/** The accounts of a database. */
export function createAccountStore(database: Database): AccountStore {
  return {
    create: (account) => database.write((trx) => createAccount(database, trx, account)),

    byAddress: (address) =>
      database.read(async (queries) => {
        const row = await selectAccount(queries).where("address", "=", address).executeTakeFirst();
        return row === undefined ? undefined : toAccountRecord(row);
      }),

    byId: (id) =>
      database.read(async (queries) => {
        const row = await selectAccount(queries).where("id", "=", id).executeTakeFirst();
        return row === undefined ? undefined : toAccountRecord(row);
      }),

    changePassword: (change) => {
      const { accountId, expectedWrapNumber, password, keepSessionId, now, notice, request } = change;
      return database.write(async (trx) => {
        const account = await lockAccount(database, trx, accountId);
        if (account === undefined) return { kind: "conflict" };
        const earlier = await earlierResult<PasswordChanged>(trx, accountId, request, now);
        if (earlier !== undefined) return earlier;
        if (account.wrap_number !== expectedWrapNumber) return { kind: "conflict" };
        await trx
          .updateTable("accounts")
          .set(toPasswordColumns(password))
          .where("id", "=", accountId)
          .execute();
        const ended = await trx
          .deleteFrom("sessions")
          .where("account_id", "=", accountId)
          .where("id", "<>", keepSessionId)
          .returning("id")
          .execute();
        await addNotice(trx, accountId, notice);
        const revokedSessionIds = ended.map(({ id }) => id);
        const changed: PasswordChanged = {
          kind: "changed",
          revokedSessions: revokedSessionIds.length,
          revokedSessionIds,
        };
        return remember(trx, accountId, request, changed, now);
      });
    },

    earlierResult: (accountId, request, now) => readEarlierResult(database, accountId, request, now),

    sealedContacts: (accountId) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("sealed_contacts")
          .select(["version", "sealed"])
          .where("account_id", "=", accountId)
          .executeTakeFirst();
        return row ?? { version: 0, sealed: NOTHING };
      }),

    putSealedContacts: ({ accountId, expectedVersion, sealed, now, request }) =>
      database.write(async (trx) => {
        if ((await lockAccount(database, trx, accountId)) === undefined)
          return { kind: "conflict", version: 0 };
        const earlier = await earlierResult<{ kind: "put"; version: number }>(trx, accountId, request, now);
        if (earlier !== undefined) return earlier;
        const current = await trx
          .selectFrom("sealed_contacts")
          .select("version")
          .where("account_id", "=", accountId)
          .executeTakeFirst();
        const version = current?.version ?? 0;
        if (version !== expectedVersion) return { kind: "conflict", version };
        const row = { version: version + 1, sealed, updated_at: now };
        await trx
          .insertInto("sealed_contacts")
          .values({ account_id: accountId, ...row })
          .onConflict((conflict) => conflict.column("account_id").doUpdateSet(row))
          .execute();
        return remember(trx, accountId, request, { kind: "put", version: row.version }, now);
      }),

    async delete(accountId, now) {
      const sessionIds = await database.write((trx) => endAccount(database, trx, accountId, now));
      if (sessionIds === undefined) return [];
      await purgeAccount(database, accountId);
      return sessionIds;
    },
  };
}

interface PasswordChanged {
  readonly kind: "changed";
  readonly revokedSessions: number;
  readonly revokedSessionIds: readonly string[];
}

function selectAccount(queries: Queries) {
  return queries.selectFrom("accounts").select(ACCOUNT_COLUMNS).where("deleted_at", "=", 0);
}

async function createAccount(
  database: Database,
  trx: Queries,
  account: NewAccount,
): Promise<Awaited<ReturnType<AccountStore["create"]>>> {
  const { address, domain, createdAt, password, keySet, sealedKeys, session, challenge } = account;
  const admitted = await admit(database, trx, account);
  if (admitted.kind !== "admitted") return admitted;
  const row = await trx
    .insertInto("accounts")
    .values({
      address,
      domain,
      created_at: createdAt,
      deleted_at: 0,
      purging: 0,
      active_key_number: keySet.number,
      ...toPasswordColumns(password),
      stored_bytes: 0,
      last_sequence: 0,
      last_position: 0,
    })
    .onConflict((conflict) => conflict.column("address").doNothing())
    .returning("id")
    .executeTakeFirst();
  if (row === undefined) return { kind: "address-taken" };
  if (challenge !== undefined && !(await spendChallenge(trx, challenge))) {
    await trx.deleteFrom("accounts").where("id", "=", row.id).execute();
    return { kind: "challenge-spent" };
  }
  await insertKeySet(trx, row.id, keySet, sealedKeys, createdAt);
  await insertSession(trx, row.id, session);
  await noteAdmission(trx, account, admitted);
  return { kind: "created", accountId: row.id };
}

/** Takes an account out of everybody's sight, all but its shares removed. Undefined if there is none. */
export async function endAccount(
  database: Database,
  trx: Queries,
  accountId: number,
  now: number,
): Promise<readonly string[] | undefined> {
  if ((await lockAccount(database, trx, accountId)) === undefined) return undefined;
  await trx
    .updateTable("accounts")
    .set({
      deleted_at: now,
      purging: 1,
      stored_bytes: 0,
      active_key_number: 0,
      password_salt: NOTHING,
      login_verifier: NOTHING,
      wrapped_account_key: NOTHING,
    })
    .where("id", "=", accountId)
    .execute();
  const sessions = await trx
    .deleteFrom("sessions")
    .where("account_id", "=", accountId)
    .returning("id")
    .execute();
  for (const table of SMALL_TABLES) await trx.deleteFrom(table).where("account_id", "=", accountId).execute();
  return sessions.map(({ id }) => id);
}
