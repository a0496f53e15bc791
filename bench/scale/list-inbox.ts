/** Listing a page of 50 of an inbox, somewhere in it. */

import { randomInt } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { ListSharesRequestSchema, ShareBox } from "../../gen/keypears/v1/share_service_pb.ts";
import { pageToken } from "../../src/services/page.ts";
import { newSession } from "../../src/services/session-token.ts";
import { fillAccounts, filledAddress } from "./accounts.ts";
import { writeInBulk } from "./bulk.ts";
import type { Operation } from "./operation.ts";

const PAGE = 50;
const OWNER = 1;
const session = newSession("bench", Date.now());

/** With 1,000 and 1,000,000 shares in the inbox. */
export const listInbox: Operation = {
  name: "list-inbox",
  stored: "shares",
  few: 1_000,
  many: 1_000_000,
  warmUpCalls: 3_000,
  fill: fillInbox,
  calls: (count, times) =>
    Array.from({ length: times }, () => {
      const request = create(ListSharesRequestSchema, {
        box: ShareBox.RECEIVED,
        pageSize: PAGE,
        pageToken: pageToken(
          `ListShares RECEIVED ${filledAddress(OWNER)}`,
          `${randomInt(PAGE + 1, count + 1)}`,
        ),
      });
      const message = toBinary(ListSharesRequestSchema, request);
      return { path: "/keypears.v1.ShareService/ListShares", message, token: session.token };
    }),
};

/** One account with all the shares. Their envelopes lie in a table that a list does not read, and are left out. */
async function fillInbox(path: string, count: number): Promise<void> {
  await fillAccounts(path, OWNER);
  writeInBulk(path, (database) => {
    const { id, tokenHash, deviceName, createdAt } = session.session;
    database
      .prepare(
        `insert into sessions (id, token_hash, account_id, device_name, created_at, last_used_at)
          values (?, ?, ${OWNER}, ?, ?, ?)`,
      )
      .run(id, tokenHash, deviceName, createdAt, createdAt);
    database.exec(`
      insert into sender_key_sets (hash, body, self_signature, continuity_signature) values (zeroblob(32), x'', x'', x'');
      with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count})
      insert into received_shares (account_id, sequence, share_id, sender, recipient, sender_key_number,
          sender_key_set_hash, created_at, expires_at, ciphertext_bytes, stored_bytes, received_at)
        select ${OWNER}, n, randomblob(32), 'user' || (n % 1000) || '@partner.test', '${filledAddress(OWNER)}', 1,
          zeroblob(32), ${createdAt} + n, 0, 1024, 5000, ${createdAt} + n from numbers;
      update accounts set last_sequence = ${count} where id = ${OWNER};`);
  });
}
