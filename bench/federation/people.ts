/**
 * Who sends and who receives: accounts with true keys, in a database for each domain. All recipients have accepted all
 * senders, so that no share needs a stamp.
 */

import { newSession } from "../../src/services/session-token.ts";
import { openStorage } from "../../src/storage/open.ts";
import { makeAccount, makeKeySet, type TestKeySet } from "../../test/support/people.ts";

/** The domain whose node sends. */
export const SENDING_DOMAIN = "acme.test";
/** The domain whose node receives. */
export const RECEIVING_DOMAIN = "partner.test";

/** Somebody who sends. */
export interface Sender {
  readonly accountId: number;
  readonly keys: TestKeySet;
  /** Token of a session. */
  readonly token: string;
}

/** Everybody. */
export interface People {
  readonly senders: readonly Sender[];
  readonly recipients: readonly TestKeySet[];
}

const SENDERS = 50;
const RECIPIENTS = 10;

/** Makes them, in two database files that are not there yet. */
export async function makePeople(sendingFile: string, receivingFile: string): Promise<People> {
  const now = Date.now();
  const sending = await openStorage({ url: `sqlite:${sendingFile}` });
  const receiving = await openStorage({ url: `sqlite:${receivingFile}` });
  try {
    const senders: Sender[] = [];
    for (let number = 0; number < SENDERS; number++) {
      const keys = makeKeySet(`sender${number}@${SENDING_DOMAIN}`, now);
      const accountId = await makeAccount(sending, keys);
      const { token, session } = newSession("bench", now);
      await sending.sessions.create(accountId, session);
      senders.push({ accountId, keys, token });
    }
    const recipients: TestKeySet[] = [];
    for (let number = 0; number < RECIPIENTS; number++) {
      const keys = makeKeySet(`recipient${number}@${RECEIVING_DOMAIN}`, now);
      const accountId = await makeAccount(receiving, keys);
      const contacts = senders.map(({ keys: { keySet } }) =>
        receiving.contacts.set(accountId, keySet.address, "ACCEPTED", { now, maxContacts: SENDERS }),
      );
      await Promise.all(contacts);
      recipients.push(keys);
    }
    return { senders, recipients };
  } finally {
    await Promise.all([sending.close(), receiving.close()]);
  }
}
