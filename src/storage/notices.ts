/**
 * Security notices: what every session of an account is told. Whoever leaves one has locked the account's row, so that the
 * ids of an account's notices are in the order of their commits and a reader that goes on from the last one misses none.
 */

import { type Database, type Queries, storableText } from "./database.ts";
import type { NewNotice, NoticeStore } from "./stores.ts";

const MAX_TEXT = 200;

/** The notices of a database. */
export function createNoticeStore(database: Database): NoticeStore {
  return {
    list: (accountId, { since, limit }) =>
      database.read(async (queries) => {
        const rows = await selectNotices(queries, accountId)
          .where("created_at", ">=", since)
          .orderBy("id", "desc")
          .limit(limit)
          .execute();
        return rows.map(toNotice);
      }),
    after: (accountId, afterId) =>
      database.read(async (queries) => {
        const rows = await selectNotices(queries, accountId)
          .where("id", ">", afterId)
          .orderBy("id")
          .execute();
        return rows.map(toNotice);
      }),
    latestId: (accountId) =>
      database.read(async (queries) => {
        const row = await selectNotices(queries, accountId).orderBy("id", "desc").limit(1).executeTakeFirst();
        return row?.id ?? 0;
      }),
  };
}

/** Leaves a notice. The account's row must be locked. */
export async function addNotice(trx: Queries, accountId: number, notice: NewNotice): Promise<void> {
  await trx
    .insertInto("notices")
    .values({
      account_id: accountId,
      kind: notice.kind,
      created_at: notice.createdAt,
      device_name: storableText(notice.deviceName, MAX_TEXT),
      key_set_number: notice.keySetNumber,
    })
    .execute();
}

function selectNotices(queries: Queries, accountId: number) {
  return queries
    .selectFrom("notices")
    .select(["id", "kind", "created_at", "device_name", "key_set_number"])
    .where("account_id", "=", accountId);
}

function toNotice(row: {
  readonly id: number;
  readonly kind: number;
  readonly created_at: number;
  readonly device_name: string;
  readonly key_set_number: number;
}): NewNotice & { readonly id: number } {
  return {
    id: row.id,
    kind: row.kind,
    createdAt: row.created_at,
    deviceName: row.device_name,
    keySetNumber: row.key_set_number,
  };
}
