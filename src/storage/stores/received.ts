/** Envelopes, and the shares that accounts received (docs/protocol.md §6). */

import type { ContactStateName } from "./contacts.ts";

/** An envelope, taken apart as far as a node may. */
export interface EnvelopeRecord {
  /** 32 bytes. */
  readonly shareId: Uint8Array;
  readonly sender: string;
  readonly senderKeyNumber: number;
  readonly recipient: string;
  readonly createdAt: number;
  /** 0 if it does not expire. */
  readonly expiresAt: number;
  /** Canonical EnvelopeHeader. */
  readonly header: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly signature: Uint8Array;
}

/** A received share without its bytes. */
export interface ReceivedShareRecord {
  readonly shareId: Uint8Array;
  readonly sequence: number;
  readonly sender: string;
  readonly recipient: string;
  readonly senderKeyNumber: number;
  /** 32 bytes. */
  readonly senderKeySetHash: Uint8Array;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly ciphertextBytes: number;
  readonly receivedAt: number;
  /** 0 if it was not opened. */
  readonly openedAt: number;
}

/** A sender's verified key set, kept once per hash. */
export interface SenderKeySet {
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly body: Uint8Array;
  readonly selfSignature: Uint8Array;
  readonly continuitySignature: Uint8Array;
}

/** Which envelope to tell the facts about. */
export interface DeliveryQuestion {
  /** Canonical. */
  readonly recipient: string;
  /** Number of the recipient's key set that it is sealed to. */
  readonly recipientKeyNumber: number;
  /** Canonical. */
  readonly sender: string;
  readonly shareId: Uint8Array;
}

/** What an envelope is judged by before its signature is verified. */
export interface DeliveryFacts {
  /** The recipient. */
  readonly accountId: number;
  /** True if an accepted envelope with this id is kept or remembered for the recipient. */
  readonly isKnown: boolean;
  /** What the next one says about the key set that it is sealed to; undefined if there is no such set. */
  readonly sealedTo: { readonly supersededAt: number; readonly revoked: boolean } | undefined;
  /** What the recipient says about the sender. */
  readonly contact: ContactStateName;
  /** Whether the recipient's account is suspended. */
  readonly suspended: boolean;
}

/** A verified envelope to be stored for its recipient. */
export interface Acceptance {
  readonly accountId: number;
  readonly envelope: EnvelopeRecord;
  readonly senderDomain: string;
  readonly senderKeySet: SenderKeySet;
  readonly now: number;
  /** Until when its id is remembered. */
  readonly tombstoneUntil: number;
  /** True if the sender has no accepted conversation with the recipient: counted against the daily limit. */
  readonly firstContact: boolean;
  /** Daily limit of first contacts per recipient and sender domain. */
  readonly maxFirstContacts: number;
  /** Quota of the account in bytes. */
  readonly maxStoredBytes: number;
}

/** What became of an acceptance. */
export type AcceptanceResult =
  | { readonly kind: "accepted"; readonly sequence: number }
  | { readonly kind: "duplicate" }
  | { readonly kind: "over-quota" }
  | { readonly kind: "too-many-first-contacts" }
  | { readonly kind: "recipient-gone" };

/** Shares that accounts received. */
export interface ReceivedShareStore {
  /**
   * The facts about each envelope, in the order of the questions; undefined where there is no such recipient. Costs one
   * statement, however many they are.
   */
  deliveryFacts(questions: readonly DeliveryQuestion[]): Promise<readonly (DeliveryFacts | undefined)[]>;
  /** Stores verified envelopes, each on its own merits, in one transaction. Results in the same order. */
  accept(acceptances: readonly Acceptance[]): Promise<readonly AcceptanceResult[]>;
  /** Newest first, with sequences below `before` if given. Expired ones are left out. */
  list(
    accountId: number,
    page: { readonly limit: number; readonly before?: number; readonly now: number },
  ): Promise<readonly ReceivedShareRecord[]>;
  /** In ascending order of sequence, above `after`. Expired ones are left out. */
  after(
    accountId: number,
    page: { readonly after: number; readonly limit: number; readonly now: number },
  ): Promise<readonly ReceivedShareRecord[]>;
  get(
    accountId: number,
    shareId: Uint8Array,
    now: number,
  ): Promise<
    { share: ReceivedShareRecord; envelope: EnvelopeRecord; senderKeySet: SenderKeySet } | undefined
  >;
  /** When it was first marked, or undefined if there is no such share. */
  markOpened(accountId: number, shareId: Uint8Array, now: number): Promise<number | undefined>;
  /** True if there was such a share. Its id stays remembered. */
  delete(accountId: number, shareId: Uint8Array): Promise<boolean>;
  /**
   * Removes what has run out by `now`, up to `limit` of each kind: shares, tombstones, first contacts, results of requests,
   * spent challenges, and what is left of deleted accounts. Answers how many rows went; 0 when there is nothing to do.
   */
  deleteExpired(now: number, limit: number): Promise<number>;
}
