/**
 * An account in use: everything that an application does for the person or machine that it belongs to. Made from the
 * credentials of a device that is signed in and the account key; holds both in memory only.
 */

import {
  type AccountNotice,
  AccountNoticeKind,
  type Session,
} from "../../gen/keypears/v1/account_service_pb.ts";
import { type Contact, ContactDecision } from "../../gen/keypears/v1/contact_book_pb.ts";
import { ContactState } from "../../gen/keypears/v1/share_service_pb.ts";
import { wipe } from "../crypto/bytes.ts";
import { parseAddress } from "../protocol/address.ts";
import { fingerprint } from "../protocol/fingerprint.ts";
import { createContactBook, pin } from "./contact-book.ts";
import { createDeviceMemory, type KeepSeen } from "./device-memory.ts";
import { type LookedUp, lookUp, requireFingerprint } from "./directory.ts";
import type { Environment } from "./environment.ts";
import { ClientError, call } from "./errors.ts";
import { createKeyRing, type KeyRing, type KeyRingContext } from "./key-ring.ts";
import { nodeClients } from "./rpc.ts";
import { createShares, type Shares } from "./shares.ts";
import { type Credentials, changePassword, loginKeyOf, type SignedIn, type WorkOptions } from "./sign-in.ts";

export type { AccountNotice, Contact, Session };
export { AccountNoticeKind, ContactDecision };

/** An account in use. Every method throws ClientError. */
export interface Account {
  readonly address: string;
  /** As they are now: a password change makes new ones, and `seen` grows. */
  readonly credentials: Credentials;
  /** The account's own key sets, compared with what the node publishes and with what the account's devices have seen. */
  keyRing(): Promise<KeyRing>;
  /** Publishes a new key set that the active one vouches for. */
  rotateKeys(options?: { readonly revokePrevious?: boolean }): Promise<KeyRing>;
  /** Publishes a new key set that nothing vouches for; needs the password. */
  resetKeys(password: string, options?: WorkOptions): Promise<KeyRing>;
  /** Sending, receiving and keeping shares. */
  readonly shares: Shares;
  readonly contacts: Contacts;
  /** Sessions of the account, newest first, and notices of the last 30 days. */
  sessions(): Promise<{ readonly sessions: readonly Session[]; readonly notices: readonly AccountNotice[] }>;
  revokeSession(sessionId: string): Promise<void>;
  /** Ends all other sessions. Keep the new `credentials` after it. */
  changePassword(
    passwords: { readonly current: string; readonly next: string },
    options?: WorkOptions,
  ): Promise<{ readonly revokedSessions: number }>;
  logOut(): Promise<void>;
  /** Deletes the account and everything that it stored, for good. */
  delete(password: string, options?: WorkOptions): Promise<void>;
  /** Wipes the account key. The account is of no use after it. */
  close(): void;
}

/** The people and machines that an account knows. */
export interface Contacts {
  list(): Promise<readonly Contact[]>;
  /** Looks up an address at its own domain and compares it with the pin. Changes nothing. */
  lookUp(address: string, signal?: AbortSignal): Promise<LookedUp & { readonly fingerprint: string }>;
  /**
   * Pins the keys that an address has now, also where they changed. With a fingerprint that a person compared, they count as
   * verified.
   *
   * @throws ClientError FINGERPRINT_MISMATCH when the fingerprint is of other keys; nothing is pinned then.
   */
  confirm(address: string, comparedFingerprint?: string): Promise<Contact>;
  /** Takes shares from an address without a stamp. */
  accept(address: string): Promise<void>;
  /** Refuses shares from an address. */
  block(address: string): Promise<void>;
  /** Removes the entry with its pins, and what the node was told of the address. */
  forget(address: string): Promise<void>;
}

/** Most sessions, and most notices, that a client takes from a node: a list could go on for ever. */
const MAX_LISTED = 10_000;

/**
 * Opens an account. The account key becomes the account's: `close` wipes it.
 *
 * @param options.onSeen keeps `seen` of the credentials, whenever the device has seen something newer. Without it, a node
 *   can turn back time for the next account that is opened with these credentials.
 */
export function openAccount(
  env: Environment,
  signed: SignedIn,
  options: { readonly onSeen?: KeepSeen } = {},
): Account {
  const { address } = signed.credentials;
  const { accountKey } = signed;
  let { credentials } = signed;
  const node = nodeClients(env, credentials.apiUrl, () => credentials.sessionToken);
  const memory = createDeviceMemory(credentials.seen ?? {}, options.onSeen);
  const context: KeyRingContext = { env, node, address, accountKey, memory };
  const book = createContactBook(context);
  const keys = createKeyRing(context, book);

  async function decide(text: string, state: ContactState, decision: ContactDecision): Promise<void> {
    const { canonical } = parseAddress(text);
    await node.shares.setContact({ address: canonical, state });
    await book.change(canonical, (contact) => {
      contact.decision = decision;
      return true;
    });
  }

  const contacts: Contacts = {
    list: () => call(() => book.read()),
    lookUp: (text, signal) =>
      call(async () => {
        const { canonical } = parseAddress(text);
        const found = await lookUp(env, canonical, (await book.find(canonical))?.pins ?? [], signal);
        return { ...found, fingerprint: fingerprint(found.keySet.hash) };
      }),
    confirm: (text, compared) =>
      call(async () => {
        const { canonical } = parseAddress(text);
        const found = await lookUp(env, canonical, (await book.find(canonical))?.pins ?? []);
        if (compared !== undefined) requireFingerprint(found.keySet, compared);
        let confirmed: Contact | undefined;
        await book.change(canonical, (contact) => {
          pin(contact, found.seen);
          contact.verified = compared !== undefined || (contact.verified && found.standing !== "changed");
          confirmed = contact;
          return true;
        });
        if (!confirmed) throw new ClientError("CONTACT_UNKNOWN", `${canonical} was not pinned`);
        return confirmed;
      }),
    accept: (text) => call(() => decide(text, ContactState.ACCEPTED, ContactDecision.ACCEPTED)),
    block: (text) => call(() => decide(text, ContactState.BLOCKED, ContactDecision.BLOCKED)),
    forget: (text) =>
      call(async () => {
        const { canonical } = parseAddress(text);
        if (!(await book.find(canonical)))
          throw new ClientError("CONTACT_UNKNOWN", `there is no contact ${canonical}`);
        await node.shares.setContact({ address: canonical, state: ContactState.NONE });
        await book.change(canonical, () => false);
      }),
  };

  return {
    address,
    get credentials() {
      return { ...credentials, seen: memory.seen };
    },
    keyRing: () => call(keys.read),
    rotateKeys: (options = {}) => call(() => keys.rotate(options.revokePrevious ?? false)),
    resetKeys: (password, options = {}) =>
      call(async () => {
        const loginKey = await loginKeyOf(credentials, password, options);
        try {
          return await keys.reset(loginKey);
        } finally {
          wipe(loginKey);
        }
      }),
    shares: createShares({ ...context, keyRing: keys.read, book }),
    contacts,
    sessions: () =>
      call(async () => {
        const sessions: Session[] = [];
        const notices: AccountNotice[] = [];
        let pageToken = "";
        do {
          const page = await node.accounts.listSessions({ pageToken });
          sessions.push(...page.sessions);
          notices.push(...page.notices);
          if (sessions.length > MAX_LISTED || notices.length > MAX_LISTED) {
            throw new ClientError("NODE_ANSWER_INVALID", "the node's list of sessions does not end");
          }
          pageToken = page.sessions.length > 0 ? page.nextPageToken : "";
        } while (pageToken !== "");
        return { sessions, notices };
      }),
    revokeSession: (sessionId) => call(async () => void (await node.accounts.revokeSession({ sessionId }))),
    changePassword: (passwords, options = {}) =>
      call(async () => {
        const changed = await changePassword(env, { credentials, accountKey }, passwords, options);
        credentials = changed.credentials;
        return { revokedSessions: changed.revokedSessions };
      }),
    logOut: () => call(async () => void (await node.accounts.logOut({}))),
    delete: (password, options = {}) =>
      call(async () => {
        const loginKey = await loginKeyOf(credentials, password, options);
        try {
          await node.accounts.deleteAccount({ loginKey });
        } finally {
          wipe(loginKey);
        }
      }),
    close: () => wipe(accountKey),
  };
}
