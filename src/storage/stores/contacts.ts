/** What accounts say about others, and what they are told about themselves. */

/** What a recipient says about a sender. */
export type ContactStateName = "NONE" | "ACCEPTED" | "BLOCKED";

/** Contacts as the node needs to know them. */
export interface ContactStore {
  state(accountId: number, address: string): Promise<ContactStateName>;
  /** False, and nothing is written, if that would be one address more than `maxContacts`. */
  set(
    accountId: number,
    address: string,
    state: ContactStateName,
    write: { readonly now: number; readonly maxContacts: number },
  ): Promise<boolean>;
  /** First contacts from a domain in the 24 hours before `now`. */
  firstContacts(accountId: number, senderDomain: string, now: number): Promise<number>;
}

/** Something that every session of an account is told. */
export interface NewNotice {
  /** Number of keypears.v1.AccountNoticeKind. */
  readonly kind: number;
  readonly createdAt: number;
  readonly deviceName: string;
  /** 0 if it is about none. */
  readonly keySetNumber: number;
}

/** Security notices. */
export interface NoticeStore {
  /** Newest first, since `since`. */
  list(
    accountId: number,
    page: { readonly since: number; readonly limit: number },
  ): Promise<readonly (NewNotice & { readonly id: number })[]>;
  /** In ascending order, with ids above `afterId`. */
  after(accountId: number, afterId: number): Promise<readonly (NewNotice & { readonly id: number })[]>;
  /** The highest id of the account, or 0. */
  latestId(accountId: number): Promise<number>;
}
