/** What accounts said about others, and how many strangers of a domain reached an account lately. */

import type { Database, Queries } from "./database.ts";
import { lockAccount } from "./database.ts";
import type { ContactStore } from "./stores.ts";

/** The time over which first contacts are limited, in milliseconds (docs/protocol.md §6.4). */
export const FIRST_CONTACT_WINDOW_MS = 24 * 60 * 60 * 1_000;

/** The contacts of a database. */
export function createContactStore(database: Database): ContactStore {
  return {
    state: (accountId, address) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("contacts")
          .select("state")
          .where("account_id", "=", accountId)
          .where("address", "=", address)
          .executeTakeFirst();
        return row?.state ?? "NONE";
      }),
    set: (accountId, address, state, { now, maxContacts }) =>
      database.write(async (trx) => {
        if ((await lockAccount(database, trx, accountId)) === undefined) return true;
        if (state === "NONE") {
          await trx
            .deleteFrom("contacts")
            .where("account_id", "=", accountId)
            .where("address", "=", address)
            .execute();
          return true;
        }
        if (!(await hasRoom(trx, accountId, address, maxContacts))) return false;
        await trx
          .insertInto("contacts")
          .values({ account_id: accountId, address, state, updated_at: now })
          .onConflict((conflict) =>
            conflict.columns(["account_id", "address"]).doUpdateSet({ state, updated_at: now }),
          )
          .execute();
        return true;
      }),
    firstContacts: (accountId, senderDomain, now) =>
      database.read(async (queries) => {
        const { count } = await queries
          .selectFrom("first_contacts")
          .select((eb) => eb.fn.countAll<number>().as("count"))
          .where("account_id", "=", accountId)
          .where("sender_domain", "=", senderDomain)
          .where("accepted_at", ">", now - FIRST_CONTACT_WINDOW_MS)
          .executeTakeFirstOrThrow();
        return count;
      }),
  };
}

/**
 * Accepts an address as a contact, unless the account has said something about it already. False if there is no room for
 * another one. The account is locked.
 */
export async function acceptContact(
  trx: Queries,
  accountId: number,
  address: string,
  { now, maxContacts }: { readonly now: number; readonly maxContacts: number },
): Promise<boolean> {
  if (!(await hasRoom(trx, accountId, address, maxContacts))) return false;
  await trx
    .insertInto("contacts")
    .values({ account_id: accountId, address, state: "ACCEPTED", updated_at: now })
    // A row is either accepted, which is what we want, or blocked, which stays.
    .onConflict((conflict) => conflict.columns(["account_id", "address"]).doNothing())
    .execute();
  return true;
}

/** Whether an address is among an account's contacts or may be added to them. */
async function hasRoom(
  trx: Queries,
  accountId: number,
  address: string,
  maxContacts: number,
): Promise<boolean> {
  const known = await trx
    .selectFrom("contacts")
    .select("state")
    .where("account_id", "=", accountId)
    .where("address", "=", address)
    .executeTakeFirst();
  if (known !== undefined) return true;
  const { count } = await trx
    .selectFrom("contacts")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("account_id", "=", accountId)
    .executeTakeFirstOrThrow();
  return count < maxContacts;
}
