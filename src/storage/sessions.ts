/** Sessions, found by the BLAKE3 of their token: the token itself is nowhere in the database (docs/protocol.md §5). */

import { SESSION_IDLE_MS, SESSION_MAX_MS } from "../protocol/limits.ts";
import { ACCOUNT_COLUMNS, toAccountRecord } from "./account-records.ts";
import { type Database, type Queries, requireAccount, storableText } from "./database.ts";
import type { NewSession, SessionRecord, SessionStore } from "./stores.ts";

const MAX_TEXT = 200;

/** The sessions of a database. */
export function createSessionStore(database: Database): SessionStore {
  return {
    create: (accountId, session) =>
      database.write(async (trx) => {
        await requireAccount(database, trx, accountId);
        await removeEnded(trx, accountId, session.createdAt);
        await insertSession(trx, accountId, session);
      }),

    byTokenHash: (tokenHash, now) =>
      database.read(async (queries) => {
        const row = await queries
          .selectFrom("sessions")
          .innerJoin("accounts", "accounts.id", "sessions.account_id")
          .select(ACCOUNT_COLUMNS)
          .select([
            "sessions.id as session_id",
            "sessions.device_name",
            "sessions.created_at as session_created_at",
            "sessions.last_used_at",
          ])
          .where("sessions.token_hash", "=", tokenHash)
          .where("sessions.last_used_at", ">", now - SESSION_IDLE_MS)
          .where("sessions.created_at", ">", now - SESSION_MAX_MS)
          .where("accounts.deleted_at", "=", 0)
          .where("accounts.suspended_at", "=", 0)
          .executeTakeFirst();
        if (row === undefined) return undefined;
        const session = {
          id: row.session_id,
          accountId: row.id,
          deviceName: row.device_name,
          createdAt: row.session_created_at,
          lastUsedAt: row.last_used_at,
        };
        return { session, account: toAccountRecord(row) };
      }),

    touch: (sessionId, now) =>
      database.write(async (trx) => {
        await trx
          .updateTable("sessions")
          .set({ last_used_at: now })
          .where("id", "=", sessionId)
          .where("last_used_at", "<", now)
          .execute();
      }),

    list: (accountId, { limit, after, now }) =>
      database.read(async (queries) => {
        let query = queries
          .selectFrom("sessions")
          .select(["id", "account_id", "device_name", "created_at", "last_used_at"])
          .where("account_id", "=", accountId)
          .where("last_used_at", ">", now - SESSION_IDLE_MS)
          .where("created_at", ">", now - SESSION_MAX_MS);
        if (after !== undefined) {
          query = query.where((eb) =>
            eb(eb.refTuple("created_at", "id"), "<", eb.tuple(after.createdAt, after.id)),
          );
        }
        const rows = await query.orderBy("created_at", "desc").orderBy("id", "desc").limit(limit).execute();
        return rows.map(
          (row): SessionRecord => ({
            id: row.id,
            accountId: row.account_id,
            deviceName: row.device_name,
            createdAt: row.created_at,
            lastUsedAt: row.last_used_at,
          }),
        );
      }),

    revoke: (accountId, sessionId) =>
      database.write(async (trx) => {
        const { numDeletedRows } = await trx
          .deleteFrom("sessions")
          .where("account_id", "=", accountId)
          .where("id", "=", sessionId)
          .executeTakeFirstOrThrow();
        return numDeletedRows > 0n;
      }),
  };
}

/** Stores a session of an account that exists. */
export async function insertSession(trx: Queries, accountId: number, session: NewSession): Promise<void> {
  await trx
    .insertInto("sessions")
    .values({
      id: session.id,
      token_hash: session.tokenHash,
      account_id: accountId,
      device_name: storableText(session.deviceName, MAX_TEXT),
      created_at: session.createdAt,
      last_used_at: session.createdAt,
    })
    .execute();
}

async function removeEnded(trx: Queries, accountId: number, now: number): Promise<void> {
  await trx
    .deleteFrom("sessions")
    .where("account_id", "=", accountId)
    .where((eb) =>
      eb.or([eb("last_used_at", "<=", now - SESSION_IDLE_MS), eb("created_at", "<=", now - SESSION_MAX_MS)]),
    )
    .execute();
}
