/**
 * Accepting verified envelopes, many in one transaction (docs/protocol.md §6.3). All accounts concerned are locked first, so
 * that within an account the order of sequences is the order of commits and a duplicate is seen by whoever comes second,
 * however many come at once. The primary key of the tombstones would refuse a second one even so.
 */

import { type SqlBool, sql } from "kysely";
import { toHex } from "../crypto/bytes.ts";
import { FIRST_CONTACT_WINDOW_MS } from "./contacts.ts";
import { type Database, lockAccounts, type Queries, slices } from "./database.ts";
import { envelopeBytes, toEnvelopeColumns } from "./envelopes.ts";
import type { Acceptance, AcceptanceResult, SenderKeySet } from "./stores.ts";

const ROWS_PER_STATEMENT = 250;

/** Stores envelopes, each on its own merits. Results in the same order. */
export async function acceptEnvelopes(
  database: Database,
  trx: Queries,
  acceptances: readonly Acceptance[],
): Promise<readonly AcceptanceResult[]> {
  const ledgers = await openLedgers(database, trx, acceptances);
  const known = await findKnown(database, trx, acceptances);
  const firstContacts = await countFirstContacts(trx, acceptances);

  const accepted: AcceptedEnvelope[] = [];
  const results = acceptances.map((acceptance): AcceptanceResult => {
    const { accountId, envelope, maxStoredBytes, firstContact, maxFirstContacts } = acceptance;
    const ledger = ledgers.get(accountId);
    if (ledger === undefined) return { kind: "recipient-gone" };
    const id = tombstoneKey(accountId, envelope.shareId);
    if (known.has(id)) return { kind: "duplicate" };
    const bytes = envelopeBytes(envelope);
    if (ledger.storedBytes + bytes > maxStoredBytes) return { kind: "over-quota" };
    if (firstContact) {
      const pair = firstContactKey(acceptance);
      const count = firstContacts.get(pair) ?? 0;
      if (count >= maxFirstContacts) return { kind: "too-many-first-contacts" };
      firstContacts.set(pair, count + 1);
    }
    known.add(id);
    ledger.storedBytes += bytes;
    ledger.sequence += 1;
    accepted.push({ acceptance, sequence: ledger.sequence, bytes });
    return { kind: "accepted", sequence: ledger.sequence };
  });

  if (accepted.length > 0) await storeAccepted(database, trx, accepted, ledgers);
  return results;
}

interface AcceptedEnvelope {
  readonly acceptance: Acceptance;
  readonly sequence: number;
  readonly bytes: number;
}

/** What an account's row will say when the transaction ends. */
interface Ledger {
  sequence: number;
  storedBytes: number;
}

async function openLedgers(
  database: Database,
  trx: Queries,
  acceptances: readonly Acceptance[],
): Promise<Map<number, Ledger>> {
  const accounts = await lockAccounts(
    database,
    trx,
    acceptances.map(({ accountId }) => accountId),
  );
  const ledgers = new Map<number, Ledger>();
  for (const [id, account] of accounts) {
    ledgers.set(id, { sequence: account.last_sequence, storedBytes: account.stored_bytes });
  }
  return ledgers;
}

/** Which of the envelopes were accepted before: remembered, or still there after their time to be remembered. */
async function findKnown(
  database: Database,
  trx: Queries,
  acceptances: readonly Acceptance[],
): Promise<Set<string>> {
  const known = new Set<string>();
  // PostgreSQL takes parameters of VALUES for text unless told; SQLite knows no such types.
  const pair = ({ accountId, envelope: { shareId } }: Acceptance) =>
    database.dialect === "postgres"
      ? sql`(${accountId}::bigint, ${shareId}::bytea)`
      : sql`(${accountId}, ${shareId})`;
  for (const slice of slices(acceptances, ROWS_PER_STATEMENT)) {
    for (const table of ["tombstones", "received_shares"] as const) {
      const rows = await trx
        .selectFrom(table)
        .select(["account_id", "share_id"])
        .where(sql<SqlBool>`(account_id, share_id) in (values ${sql.join(slice.map(pair))})`)
        .execute();
      for (const row of rows) known.add(tombstoneKey(row.account_id, row.share_id));
    }
  }
  return known;
}

/** How many first contacts each account had from each sender domain in the last day. */
async function countFirstContacts(
  trx: Queries,
  acceptances: readonly Acceptance[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const acceptance of acceptances) {
    if (!acceptance.firstContact) continue;
    const key = firstContactKey(acceptance);
    if (counts.has(key)) continue;
    const { count } = await trx
      .selectFrom("first_contacts")
      .select((eb) => eb.fn.countAll<number>().as("count"))
      .where("account_id", "=", acceptance.accountId)
      .where("sender_domain", "=", acceptance.senderDomain)
      .where("accepted_at", ">", acceptance.now - FIRST_CONTACT_WINDOW_MS)
      .executeTakeFirstOrThrow();
    counts.set(key, count);
  }
  return counts;
}

async function storeAccepted(
  database: Database,
  trx: Queries,
  accepted: readonly AcceptedEnvelope[],
  ledgers: ReadonlyMap<number, Ledger>,
): Promise<void> {
  await storeSenderKeySets(
    database,
    trx,
    accepted.map(({ acceptance }) => acceptance.senderKeySet),
  );
  for (const slice of slices(accepted, ROWS_PER_STATEMENT)) await storeSlice(trx, slice);
  for (const accountId of new Set(accepted.map(({ acceptance }) => acceptance.accountId))) {
    const ledger = ledgers.get(accountId);
    if (ledger === undefined) continue;
    await trx
      .updateTable("accounts")
      .set({ last_sequence: ledger.sequence, stored_bytes: ledger.storedBytes })
      .where("id", "=", accountId)
      .execute();
  }
}

async function storeSlice(trx: Queries, accepted: readonly AcceptedEnvelope[]): Promise<void> {
  await trx
    .insertInto("tombstones")
    .values(
      accepted.map(({ acceptance }) => ({
        account_id: acceptance.accountId,
        share_id: acceptance.envelope.shareId,
        expires_at: acceptance.tombstoneUntil,
      })),
    )
    .execute();
  const rows = await trx
    .insertInto("received_shares")
    .values(
      accepted.map(({ acceptance, sequence, bytes }) => ({
        account_id: acceptance.accountId,
        sequence,
        ...toEnvelopeColumns(acceptance.envelope),
        sender_key_set_hash: acceptance.senderKeySet.hash,
        stored_bytes: bytes,
        received_at: acceptance.now,
        opened_at: 0,
      })),
    )
    .returning(["id", "account_id", "sequence"])
    .execute();
  // No database promises to return rows in the order in which they were given.
  const ids = new Map(rows.map((row) => [`${row.account_id}/${row.sequence}`, row.id]));
  await trx
    .insertInto("received_envelopes")
    .values(
      accepted.map(({ acceptance: { accountId, envelope }, sequence }) => ({
        id: ids.get(`${accountId}/${sequence}`) ?? 0,
        header: envelope.header,
        ciphertext: envelope.ciphertext,
        signature: envelope.signature,
      })),
    )
    .execute();
  const strangers = accepted.filter(({ acceptance }) => acceptance.firstContact);
  if (strangers.length === 0) return;
  await trx
    .insertInto("first_contacts")
    .values(
      strangers.map(({ acceptance }) => ({
        account_id: acceptance.accountId,
        sender_domain: acceptance.senderDomain,
        accepted_at: acceptance.now,
      })),
    )
    .execute();
}

/** Stores each key set once, and keeps those that were there from being removed before the transaction ends. */
async function storeSenderKeySets(
  database: Database,
  trx: Queries,
  keySets: readonly SenderKeySet[],
): Promise<void> {
  const missing = new Map(keySets.map((keySet) => [toHex(keySet.hash), keySet]));
  for (;;) {
    const hashes = [...missing.values()].map(({ hash }) => hash);
    const present = await trx
      .selectFrom("sender_key_sets")
      .select("hash")
      .where("hash", "in", hashes)
      .orderBy("hash")
      .$if(database.dialect === "postgres", (query) => query.forKeyShare())
      .execute();
    for (const { hash } of present) missing.delete(toHex(hash));
    if (missing.size === 0) return;
    // In one order everywhere: transactions that insert the same rows wait for each other.
    const sorted = [...missing.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, keySet]) => keySet);
    await trx
      .insertInto("sender_key_sets")
      .values(
        sorted.map((keySet) => ({
          hash: keySet.hash,
          body: keySet.body,
          self_signature: keySet.selfSignature,
          continuity_signature: keySet.continuitySignature,
        })),
      )
      .onConflict((conflict) => conflict.column("hash").doNothing())
      .execute();
  }
}

function tombstoneKey(accountId: number, shareId: Uint8Array): string {
  return `${accountId}/${toHex(shareId)}`;
}

function firstContactKey({ accountId, senderDomain }: Acceptance): string {
  return `${accountId}/${senderDomain}`;
}
