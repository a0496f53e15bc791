/** Sent shares and their delivery (docs/protocol.md §6.3). */

import type { EnvelopeRecord, SenderKeySet } from "./received.ts";

/** States of a delivery; the last four are final. */
export type DeliveryStateName = "QUEUED" | "DELIVERING" | "DELIVERED" | "REJECTED" | "FAILED" | "CANCELLED";

/** How a delivery stands. */
export interface DeliveryRecord {
  readonly state: DeliveryStateName;
  /** Number of keypears.v1.RejectionReason; 0 if it was not rejected. */
  readonly rejectionReason: number;
  readonly message: string;
  readonly attempts: number;
  /** 0 unless it is queued. */
  readonly nextAttemptAt: number;
  readonly updatedAt: number;
}

/** A sent share without its bytes. */
export interface SentShareRecord {
  readonly shareId: Uint8Array;
  /** Position among the sender's sent shares, from 1, for paging. */
  readonly position: number;
  readonly sender: string;
  readonly senderKeyNumber: number;
  readonly recipient: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly ciphertextBytes: number;
  readonly sentAt: number;
  readonly delivery: DeliveryRecord;
}

/** An envelope under a lease. */
export interface LeasedDelivery {
  /** Row of the outbox. */
  readonly outboxId: number;
  readonly envelope: EnvelopeRecord;
  /** Undefined where no stamp was made. */
  readonly stampNonce: bigint | undefined;
  /** Attempts that were settled before this one. */
  readonly attempts: number;
  /** What came of the last of them, empty if there was none. */
  readonly message: string;
}

/** How a leased delivery ended this time. */
export type DeliveryUpdate =
  | { readonly kind: "delivered" }
  | { readonly kind: "rejected"; readonly reason: number; readonly message: string }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "retry"; readonly nextAttemptAt: number; readonly message: string };

/**
 * How a destination behaved when something was last sent to it: it accepted or refused a share; nothing was sent to it yet,
 * or not lately; or it could not be reached or put everything off.
 */
export type DestinationStanding = "ANSWERED" | "UNTRIED" | "FAILING";

/** Sent shares and their delivery. */
export interface OutboxStore {
  /**
   * Stores a share and queues its delivery, and accepts the recipient as a contact of the sender unless blocked. The same
   * share again changes nothing, unless it was rejected and the stamp is another one: then it is queued again.
   */
  enqueue(share: {
    readonly accountId: number;
    readonly envelope: EnvelopeRecord;
    readonly recipientDomain: string;
    readonly stampNonce: bigint | undefined;
    readonly now: number;
    readonly maxStoredBytes: number;
    /** Most addresses that the sender may have said something about, a new recipient included. */
    readonly maxContacts: number;
  }): Promise<
    | { kind: "queued" | "unchanged"; delivery: DeliveryRecord }
    | { kind: "over-quota" }
    | { kind: "too-many-contacts" }
  >;
  status(accountId: number, shareId: Uint8Array): Promise<DeliveryRecord | undefined>;
  /** Newest first, with positions below `before` if given; those that still wait to be delivered if `undelivered`. */
  list(
    accountId: number,
    page: { readonly limit: number; readonly before?: number; readonly undelivered?: boolean },
  ): Promise<readonly SentShareRecord[]>;
  get(
    accountId: number,
    shareId: Uint8Array,
  ): Promise<{ share: SentShareRecord; envelope: EnvelopeRecord; senderKeySet: SenderKeySet } | undefined>;
  /** Deletes the sender's copy; a queued delivery is cancelled, one under way goes on unseen. */
  delete(
    accountId: number,
    shareId: Uint8Array,
    now: number,
  ): Promise<{ existed: boolean; cancelled: boolean }>;
  /**
   * Makes a queued delivery due now. Undefined if there is no such share, else how its delivery stands (as it was unless
   * queued), and the domain that it goes to.
   */
  retry(
    accountId: number,
    shareId: Uint8Array,
    now: number,
  ): Promise<{ readonly delivery: DeliveryRecord; readonly destination: string } | undefined>;
  /** Cancels a queued delivery. Undefined if there is no such share, else how its delivery stands: as it was unless queued. */
  cancel(accountId: number, shareId: Uint8Array, now: number): Promise<DeliveryRecord | undefined>;
  /**
   * Domains of a standing that have something due at `now` (queued, or under a lease that ran out), the longest due first.
   * Costs as much as it answers, however many domains wait.
   */
  dueDestinations(standing: DestinationStanding, now: number, limit: number): Promise<readonly string[]>;
  /** When the next delivery is due or the next lease runs out, or undefined if nothing waits. */
  nextDueAt(): Promise<number | undefined>;
  /**
   * Takes up to `limit` due deliveries to a domain and no more than `maxBytes` of envelopes (at least one) under `token` (16
   * random bytes in hex) for `leaseMs`: half of them a few of each sender by turns, so that nobody waits behind one who sends
   * a lot; the others longest due first. A worker may take under one token as often as it likes, for one domain: what ran
   * out under a token is not taken under it again. `now` is the database's clock where it is left out, here and below, which
   * is what several nodes on one database need.
   */
  lease(request: {
    readonly destination: string;
    readonly token: string;
    readonly leaseMs: number;
    readonly limit: number;
    readonly maxBytes: number;
    readonly now?: number;
  }): Promise<readonly LeasedDelivery[]>;
  /** Prolongs what is still held under the token; answers how many rows that were. */
  renew(token: string, leaseMs: number, now?: number): Promise<number>;
  /** Writes results, each only if the row is still held under the token and its lease has not run out. Answers how many were. */
  settle(
    token: string,
    results: readonly { readonly outboxId: number; readonly update: DeliveryUpdate }[],
    now?: number,
  ): Promise<number>;
  /** Gives back what is held under the token without counting an attempt. */
  release(token: string, now?: number): Promise<void>;
}
