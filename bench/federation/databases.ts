/**
 * The databases of two nodes, seen from outside: shares are put into an outbox, held back until they are to leave, and what
 * becomes of them is read as it is committed. Whoever delivers is not asked and does not notice.
 */

import Sqlite from "better-sqlite3";
import { envelopeRecord } from "../../src/federation/inbound-delivery.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { openStorage } from "../../src/storage/open.ts";
import { writeInBulk } from "../scale/bulk.ts";
import { RECEIVING_DOMAIN } from "./people.ts";
import type { ReadyShare } from "./sealing.ts";

const DAY_MS = 86_400_000;

/** Shares that a node has accepted for sending, numbered from 1. */
export interface Outbox {
  /** Has those with numbers above `after`, and up to `last`, leave as soon as the node looks. */
  release(after: number, last: number): void;
  /** When the first share left of those that are under way, in Unix milliseconds; undefined if none is. */
  leftAt(): number | undefined;
  /** Whether a share that was released is without its result. */
  isWaiting(): boolean;
  /** How many are in a state. */
  count(state: "QUEUED" | "DELIVERED"): number;
  close(): void;
}

/** Shares that a node has received and committed. */
export interface Inbox {
  /** How many. */
  count(): number;
  /** The ids of those after the first so many, in hex. */
  after(count: number): string[];
  close(): void;
}

/** Accepts shares in a database as SendShare does, and holds them back. Its node may be running. */
export async function acceptShares(file: string, shares: readonly ReadyShare[]): Promise<void> {
  // Not due before they are held back for good.
  const later = Date.now() + DAY_MS;
  const storage = await openStorage({ url: `sqlite:${file}` });
  try {
    const accepted = shares.map(({ sender, envelope }) =>
      storage.outbox.enqueue({
        accountId: sender.accountId,
        envelope: envelopeRecord(parseEnvelope(envelope)),
        recipientDomain: RECEIVING_DOMAIN,
        stampNonce: undefined,
        now: later,
        maxStoredBytes: Number.MAX_SAFE_INTEGER,
        maxContacts: Number.MAX_SAFE_INTEGER,
      }),
    );
    await Promise.all(accepted);
  } finally {
    await storage.close();
  }
  const database = new Sqlite(file);
  database.exec(`
    begin immediate;
    update sent_shares set due_at = null where due_at = ${later};
    update outbox_destinations set due_at = null, idle_since = ${later} where due_at = ${later};
    commit`);
  // Else the node would have to fold all this into the file while it delivers.
  database.pragma("wal_checkpoint(truncate)");
  database.close();
}

/** Gives every sender every share of an outbox, so that there are many with few to seal. */
export function multiplyShares(file: string): void {
  writeInBulk(file, (database) => {
    database.exec(`
    insert into sent_shares (account_id, position, share_id, sender, sender_key_number, recipient, destination,
        created_at, expires_at, ciphertext_bytes, stored_bytes, sent_at, state, updated_at)
      select accounts.id, 1000000 + sent_shares.id, share_id, sender, sender_key_number, recipient, destination,
        sent_shares.created_at, expires_at, ciphertext_bytes, sent_shares.stored_bytes, sent_at, state, updated_at
      from sent_shares join accounts on accounts.id <> sent_shares.account_id;
    insert into sent_envelopes (id, header, ciphertext, signature)
      select copies.id, header, ciphertext, signature from sent_shares copies
      join sent_envelopes on sent_envelopes.id = copies.position - 1000000;`);
  });
}

/** Opens the outbox of a node that may be running. */
export function openOutbox(file: string): Outbox {
  const database = new Sqlite(file);
  const due = database.prepare("update sent_shares set due_at = ? where id > ? and id <= ?");
  const announce = database.prepare(
    `insert into outbox_destinations (destination, standing, due_at) values (?, 'UNTRIED', ?)
      on conflict (destination) do update set due_at = excluded.due_at, idle_since = null`,
  );
  const leased = database
    .prepare("select updated_at from sent_shares where lease_token is not null limit 1")
    .pluck();
  const waiting = database.prepare("select 1 from sent_shares where due_at is not null limit 1").pluck();
  const inState = database.prepare("select count(*) from sent_shares where state = ?").pluck();
  return {
    release: database.transaction((after: number, last: number) => {
      const now = Date.now();
      due.run(now, after, last);
      announce.run(RECEIVING_DOMAIN, now);
    }).immediate,
    leftAt: () => leased.get() as number | undefined,
    isWaiting: () => waiting.get() !== undefined,
    count: (state) => inState.get(state) as number,
    close: () => void database.close(),
  };
}

/** Opens the inboxes of a node that may be running. */
export function openInbox(file: string): Inbox {
  const database = new Sqlite(file, { readonly: true });
  // Nothing is deleted here, so the last number is the count, and need not be counted.
  const last = database.prepare("select coalesce(max(id), 0) from received_shares").pluck();
  const ids = database
    .prepare("select lower(hex(share_id)) from received_shares where id > ? order by id")
    .pluck();
  return {
    count: () => last.get() as number,
    after: (count) => ids.all(count) as string[],
    close: () => void database.close(),
  };
}
