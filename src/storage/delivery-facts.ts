/**
 * What delivered envelopes are judged by before anything costly is done about them (docs/protocol.md §6.3), for many at once by
 * a statement that is prepared once and costs no more than its look-ups in indexes.
 */

import { type RawBuilder, sql } from "kysely";
import type { Database } from "./database.ts";
import { type GivenColumns, queryGiven } from "./given-rows.ts";
import type { ContactStateName, DeliveryFacts, DeliveryQuestion } from "./stores.ts";

/** The facts about each envelope in the order of the questions; undefined where there is no such recipient. */
export async function readDeliveryFacts(
  database: Database,
  questions: readonly DeliveryQuestion[],
): Promise<(DeliveryFacts | undefined)[]> {
  const facts: (DeliveryFacts | undefined)[] = questions.map(() => undefined);
  if (questions.length === 0) return facts;
  const columns: GivenColumns = {
    recipient: ["text", questions.map(({ recipient }) => recipient)],
    key_number: ["bigint", questions.map(({ recipientKeyNumber }) => recipientKeyNumber)],
    sender: ["text", questions.map(({ sender }) => sender)],
    share_id: ["bytea", questions.map(({ shareId }) => shareId)],
  };
  const rows = await database.read((queries) =>
    queryGiven(database.dialect, queries, "asked", columns, selectFacts),
  );
  for (const row of rows) facts[row.position] = toFacts(row);
  return facts;
}

interface FactRow {
  /** Index of the question. */
  readonly position: number;
  readonly account_id: number;
  readonly suspended_at: number;
  readonly contact: Exclude<ContactStateName, "NONE"> | null;
  readonly sealed_to: number | null;
  readonly superseded_at: number | null;
  readonly revoked: number | null;
  readonly known: number;
}

function selectFacts(asked: RawBuilder<unknown>): RawBuilder<FactRow> {
  return sql<FactRow>`
    select
      asked.position as position,
      accounts.id as account_id,
      accounts.suspended_at as suspended_at,
      contacts.state as contact,
      sealed_to.number as sealed_to,
      successor.created_at as superseded_at,
      successor.revokes_previous as revoked,
      case when exists (
        select 1 from tombstones
        where tombstones.account_id = accounts.id and tombstones.share_id = asked.share_id
      ) or exists (
        select 1 from received_shares
        where received_shares.account_id = accounts.id and received_shares.share_id = asked.share_id
      ) then 1 else 0 end as known
    from ${asked}
    join accounts on accounts.address = asked.recipient and accounts.deleted_at = 0
    left join contacts on contacts.account_id = accounts.id and contacts.address = asked.sender
    left join key_sets as sealed_to
      on sealed_to.account_id = accounts.id and sealed_to.number = asked.key_number
    left join key_sets as successor
      on successor.account_id = accounts.id and successor.number = asked.key_number + 1
  `;
}

function toFacts(row: FactRow): DeliveryFacts {
  return {
    accountId: row.account_id,
    isKnown: row.known === 1,
    sealedTo:
      row.sealed_to === null
        ? undefined
        : { supersededAt: row.superseded_at ?? 0, revoked: row.revoked === 1 },
    contact: row.contact ?? "NONE",
    suspended: row.suspended_at !== 0,
  };
}
