/**
 * Accepting a delivery of one share: all that a receiving node does, up to the commit. The sender lives at the same domain,
 * so that its key set is read from the database and no other node takes part.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import Sqlite from "better-sqlite3";
import { DeliverSharesRequestSchema } from "../../gen/keypears/v1/federation_service_pb.ts";
import { openStorage } from "../../src/storage/open.ts";
import { makeAccount, makeKeySet } from "../../test/support/people.ts";
import { sealShares } from "../federation/sealing.ts";
import { writeInBulk } from "./bulk.ts";
import type { Call, Operation } from "./operation.ts";

const PATH = "/keypears.v1.FederationService/DeliverShares";
const DAY_MS = 86_400_000;
/** As many as are delivered to one database, each of them once. */
const SHARES = 1_500;

const sender = makeKeySet("sender@acme.test", Date.now());
const recipient = makeKeySet("recipient@acme.test", Date.now());
/** Sealed with the first database, and delivered to all of them. */
let deliveries: readonly Call[] = [];

/** With 1,000 and 1,000,000 shares in the recipient's inbox, all of them remembered. */
export const acceptDelivery: Operation = {
  name: "accept-delivery",
  stored: "shares",
  few: 1_000,
  many: 1_000_000,
  warmUpCalls: SHARES,

  async fill(path, count) {
    if (deliveries.length === 0) deliveries = await sealDeliveries();
    await fillReceived(path, count);
  },

  calls: (_count, times) => deliveries.slice(0, times),

  undo(path, count, times) {
    const database = new Sqlite(path);
    try {
      database.pragma("foreign_keys = on");
      const added = `select share_id from received_shares where sequence > ${count}`;
      database.exec(`delete from tombstones where share_id in (${added})`);
      const { changes } = database.prepare(`delete from received_shares where sequence > ${count}`).run();
      database.exec(`update accounts set last_sequence = ${count} where last_sequence > ${count}`);
      database.pragma("wal_checkpoint(truncate)");
      if (changes !== times) throw new Error(`${changes} of ${times} deliveries were accepted`);
    } finally {
      database.close();
    }
  },
};

async function sealDeliveries(): Promise<Call[]> {
  const people = { senders: [{ accountId: 0, keys: sender, token: "" }], recipients: [recipient] };
  const shares = await sealShares(people, SHARES);
  return shares.map(({ envelope }) => {
    const request = create(DeliverSharesRequestSchema, { envelopes: [envelope] });
    return { path: PATH, message: toBinary(DeliverSharesRequestSchema, request) };
  });
}

/** Both accounts, and shares whose envelopes are empty: what was stored before is not read again. */
async function fillReceived(path: string, count: number): Promise<void> {
  const now = Date.now();
  const storage = await openStorage({ url: `sqlite:${path}` });
  await makeAccount(storage, sender);
  const owner = await makeAccount(storage, recipient);
  const { address } = sender.keySet;
  await storage.contacts.set(owner, address, "ACCEPTED", { now, maxContacts: 1 });
  await storage.close();
  writeInBulk(path, (database) => {
    database.exec(`
      insert into sender_key_sets (hash, body, self_signature, continuity_signature) values (zeroblob(32), x'', x'', x'');
      with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count})
      insert into received_shares (account_id, sequence, share_id, sender, recipient, sender_key_number,
          sender_key_set_hash, created_at, expires_at, ciphertext_bytes, stored_bytes, received_at)
        select ${owner}, n, randomblob(32), 'user' || (n % 1000) || '@partner.test', '${recipient.keySet.address}', 1,
          zeroblob(32), ${now}, 0, 1024, 5000, ${now} from numbers;
      insert into received_envelopes (id, header, ciphertext, signature)
        select id, x'', x'', x'' from received_shares;
      insert into tombstones (account_id, share_id, expires_at)
        select account_id, share_id, ${now + DAY_MS} + id from received_shares order by share_id;
      update accounts set last_sequence = ${count}, stored_bytes = 5000 * ${count} where id = ${owner};`);
  });
}
