/**
 * Accepting verified envelopes, many in one transaction (docs/protocol.md §6.3). All accounts concerned are locked first, so
 * that within an account the order of sequences is the order of commits and a duplicate is seen by whoever comes second,
 * however many come at once. The primary key of the tombstones would refuse a second one even so.
 */

import { sql } from "kysely";
import { toHex } from "../crypto/bytes.ts";
import { FIRST_CONTACT_WINDOW_MS } from "./contacts.ts";
import { type Database, lockAccounts, type Queries, slices } from "./database.ts";
import { envelopeBytes, toEnvelopeColumns } from "./envelopes.ts";
import { type GivenColumns, insertGiven, queryGiven } from "./given-rows.ts";
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
  { dialect }: Database,
  trx: Queries,
  acceptances: readonly Acceptance[],
): Promise<Set<string>> {
  const columns: GivenColumns = {
    account_id: ["bigint", acceptances.map(({ accountId }) => accountId)],
    share_id: ["bytea", acceptances.map(({ envelope }) => envelope.shareId)],
  };
  type Known = { readonly account_id: number; readonly share_id: Uint8Array };
  const rows = await queryGiven(
    dialect,
    trx,
    "asked",
    columns,
    (asked) => sql<Known>`
    select account_id, share_id from ${asked}
    where exists (
      select 1 from tombstones
      where tombstones.account_id = asked.account_id and tombstones.share_id = asked.share_id
    ) or exists (
      select 1 from received_shares
      where received_shares.account_id = asked.account_id and received_shares.share_id = asked.share_id
    )
  `,
  );
  return new Set(rows.map((row) => tombstoneKey(row.account_id, row.share_id)));
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
  await storeTombstones(database, trx, accepted);
  const ids = await storeShares(database, trx, accepted);
  await storeBytes(trx, accepted, ids);
  await storeFirstContacts(trx, accepted);
  await storeLedgers(database, trx, accepted, ledgers);
}

async function storeTombstones(
  { dialect }: Database,
  trx: Queries,
  accepted: readonly AcceptedEnvelope[],
): Promise<void> {
  const columns: GivenColumns = {
    account_id: ["bigint", accepted.map(({ acceptance }) => acceptance.accountId)],
    share_id: ["bytea", accepted.map(({ acceptance }) => acceptance.envelope.shareId)],
    expires_at: ["bigint", accepted.map(({ acceptance }) => acceptance.tombstoneUntil)],
  };
  await insertGiven(dialect, trx, "tombstones", columns);
}

/** Stores all of the shares but their bytes. Answers with the ids of their rows, by account and sequence. */
async function storeShares(
  { dialect }: Database,
  trx: Queries,
  accepted: readonly AcceptedEnvelope[],
): Promise<ReadonlyMap<string, number>> {
  const envelopes = accepted.map(({ acceptance }) => toEnvelopeColumns(acceptance.envelope));
  const columns: GivenColumns = {
    account_id: ["bigint", accepted.map(({ acceptance }) => acceptance.accountId)],
    sequence: ["bigint", accepted.map(({ sequence }) => sequence)],
    share_id: ["bytea", envelopes.map(({ share_id }) => share_id)],
    sender: ["text", envelopes.map(({ sender }) => sender)],
    recipient: ["text", envelopes.map(({ recipient }) => recipient)],
    sender_key_number: ["bigint", envelopes.map(({ sender_key_number }) => sender_key_number)],
    sender_key_set_hash: ["bytea", accepted.map(({ acceptance }) => acceptance.senderKeySet.hash)],
    created_at: ["bigint", envelopes.map(({ created_at }) => created_at)],
    expires_at: ["bigint", envelopes.map(({ expires_at }) => expires_at)],
    ciphertext_bytes: ["bigint", envelopes.map(({ ciphertext_bytes }) => ciphertext_bytes)],
    stored_bytes: ["bigint", accepted.map(({ bytes }) => bytes)],
    received_at: ["bigint", accepted.map(({ acceptance }) => acceptance.now)],
  };
  type Stored = { readonly id: number; readonly account_id: number; readonly sequence: number };
  const rows = await insertGiven<Stored>(dialect, trx, "received_shares", columns, [
    "id",
    "account_id",
    "sequence",
  ]);
  // No database promises to return rows in the order in which they were given.
  return new Map(rows.map((row) => [`${row.account_id}/${row.sequence}`, row.id]));
}

async function storeBytes(
  trx: Queries,
  accepted: readonly AcceptedEnvelope[],
  ids: ReadonlyMap<string, number>,
): Promise<void> {
  const rows = accepted.map(({ acceptance: { accountId, envelope }, sequence }) => ({
    id: ids.get(`${accountId}/${sequence}`) ?? 0,
    header: envelope.header,
    ciphertext: envelope.ciphertext,
    signature: envelope.signature,
  }));
  for (const slice of slices(rows, ROWS_PER_STATEMENT)) {
    await trx.insertInto("received_envelopes").values(slice).execute();
  }
}

async function storeFirstContacts(trx: Queries, accepted: readonly AcceptedEnvelope[]): Promise<void> {
  const strangers = accepted.filter(({ acceptance }) => acceptance.firstContact);
  for (const slice of slices(strangers, ROWS_PER_STATEMENT)) {
    const rows = slice.map(({ acceptance }) => ({
      account_id: acceptance.accountId,
      sender_domain: acceptance.senderDomain,
      accepted_at: acceptance.now,
    }));
    await trx.insertInto("first_contacts").values(rows).execute();
  }
}

async function storeLedgers(
  { dialect }: Database,
  trx: Queries,
  accepted: readonly AcceptedEnvelope[],
  ledgers: ReadonlyMap<number, Ledger>,
): Promise<void> {
  const changed = new Set(accepted.map(({ acceptance }) => acceptance.accountId));
  const entries = [...ledgers].filter(([accountId]) => changed.has(accountId));
  const columns: GivenColumns = {
    account_id: ["bigint", entries.map(([accountId]) => accountId)],
    last_sequence: ["bigint", entries.map(([, { sequence }]) => sequence)],
    stored_bytes: ["bigint", entries.map(([, { storedBytes }]) => storedBytes)],
  };
  await queryGiven(
    dialect,
    trx,
    "ledgers",
    columns,
    (given) => sql`
      update accounts set last_sequence = ledgers.last_sequence, stored_bytes = ledgers.stored_bytes
      from ${given} where accounts.id = ledgers.account_id
    `,
  );
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
