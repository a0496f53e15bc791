/**
 * What delivered envelopes are judged by before anything costly is done about them (docs/protocol.md §6.3), for many in one
 * statement with as few parameters as for one, so that it is prepared once and costs no more than its look-ups in indexes.
 */

import { type RawBuilder, sql } from "kysely";
import { toHex } from "../crypto/bytes.ts";
import type { Database, Dialect } from "./database.ts";
import type { ContactStateName, DeliveryFacts, DeliveryQuestion } from "./stores.ts";

/** The facts about each envelope in the order of the questions; undefined where there is no such recipient. */
export async function readDeliveryFacts(
  database: Database,
  questions: readonly DeliveryQuestion[],
): Promise<(DeliveryFacts | undefined)[]> {
  const facts: (DeliveryFacts | undefined)[] = questions.map(() => undefined);
  if (questions.length === 0) return facts;
  const { rows } = await database.read((queries) =>
    sql<FactRow>`
      select
        asked.position as position,
        accounts.id as account_id,
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
      from ${askedTable(database.dialect, questions)}
      join accounts on accounts.address = asked.recipient and accounts.deleted_at = 0
      left join contacts on contacts.account_id = accounts.id and contacts.address = asked.sender
      left join key_sets as sealed_to
        on sealed_to.account_id = accounts.id and sealed_to.number = asked.key_number
      left join key_sets as successor
        on successor.account_id = accounts.id and successor.number = asked.key_number + 1
    `.execute(queries),
  );
  for (const row of rows) facts[row.position] = toFacts(row);
  return facts;
}

interface FactRow {
  /** Index of the question. */
  readonly position: number;
  readonly account_id: number;
  readonly contact: Exclude<ContactStateName, "NONE"> | null;
  readonly sealed_to: number | null;
  readonly superseded_at: number | null;
  readonly revoked: number | null;
  readonly known: number;
}

/** The questions as a table `asked (position, recipient, key_number, sender, share_id)`. */
function askedTable(dialect: Dialect, questions: readonly DeliveryQuestion[]): RawBuilder<unknown> {
  if (dialect === "postgres") {
    const column = (of: (question: DeliveryQuestion) => unknown) => sql.val(questions.map(of));
    return sql`(
      select ordinality - 1 as position, recipient, key_number, sender, share_id
      from unnest(
        ${column(({ recipient }) => recipient)}::text[],
        ${column(({ recipientKeyNumber }) => recipientKeyNumber)}::bigint[],
        ${column(({ sender }) => sender)}::text[],
        ${column(({ shareId }) => shareId)}::bytea[]
      ) with ordinality as given (recipient, key_number, sender, share_id, ordinality)
    ) as asked`;
  }
  // SQLite takes no arrays, but reads JSON, in which bytes are hex.
  const rows = questions.map(({ recipient, recipientKeyNumber, sender, shareId }) => [
    recipient,
    recipientKeyNumber,
    sender,
    toHex(shareId),
  ]);
  return sql`(
    select
      key as position,
      value ->> 0 as recipient,
      value ->> 1 as key_number,
      value ->> 2 as sender,
      unhex(value ->> 3) as share_id
    from json_each(${JSON.stringify(rows)})
  ) as asked`;
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
  };
}
