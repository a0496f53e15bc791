/**
 * What the rest of the node can ask of its database: one interface per table group, no SQL in sight. Every method is one
 * transaction: when its promise resolves, what it says is durable. Times are Unix milliseconds, ids are numbers of the
 * database's own, byte strings are `Uint8Array`. SQLite and PostgreSQL stand behind the same interfaces. What a method
 * expects to happen it answers; a database that fails, and a write for an account that is gone, throw a StorageError.
 */

import type { AuditEvent } from "../protocol/audit-record.ts";
import type { DomainMemory } from "../protocol/domain-memory.ts";

/** All stores of one database. */
export interface Stores {
  readonly accounts: AccountStore;
  readonly sessions: SessionStore;
  readonly keySets: KeySetStore;
  readonly received: ReceivedShareStore;
  readonly outbox: OutboxStore;
  readonly contacts: ContactStore;
  readonly notices: NoticeStore;
  readonly secrets: SecretStore;
  readonly peerDomains: PeerDomainStore;
  readonly domains: DomainStore;
  readonly invitations: InvitationStore;
  readonly domainAccounts: DomainAccountStore;
  readonly audit: AuditStore;
  readonly nodeKeys: NodeKeyStore;
}

/** Key of an idempotent request (AIP-155). The same id with another fingerprint is refused. */
export interface RequestKey {
  /** UUID version 4 in lower case. */
  readonly id: string;
  /** Name of the method, so that one id cannot answer for another method. */
  readonly method: string;
  /** BLAKE3 of the request without its credentials, 32 bytes. */
  readonly fingerprint: Uint8Array;
}

/** The request id was used before for something else. */
export interface RequestIdReused {
  readonly kind: "request-id-reused";
}

/** How a password is stretched, and the verifier of the login key that comes out. */
export interface PasswordRecord {
  /** 32 bytes. */
  readonly salt: Uint8Array;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
  /** 32 bytes. */
  readonly loginVerifier: Uint8Array;
  /** The account key wrapped under the password: nonce, ciphertext, tag. */
  readonly wrappedAccountKey: Uint8Array;
  /** Number of that wrap, from 1. */
  readonly wrapNumber: number;
}

/** An account that exists. */
export interface AccountRecord {
  readonly id: number;
  /** Canonical address. */
  readonly address: string;
  readonly createdAt: number;
  readonly activeKeyNumber: number;
  readonly password: PasswordRecord;
  /** Bytes that its shares take. */
  readonly storedBytes: number;
  /** Whether its domain's administrator has it suspended. */
  readonly suspended: boolean;
}

/** A key set as it is kept. */
export interface KeySetRecord {
  readonly number: number;
  /** A canonical KeySetBody. */
  readonly body: Uint8Array;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly selfSignature: Uint8Array;
  /** Empty where there is none. */
  readonly continuitySignature: Uint8Array;
  readonly createdAt: number;
  readonly revokesPrevious: boolean;
}

/** The sealed seeds of one key set. */
export interface SealedKeySetRecord {
  readonly number: number;
  readonly ed25519: Uint8Array;
  readonly x25519: Uint8Array;
  readonly mlDsa65: Uint8Array;
  readonly mlKem768: Uint8Array;
}

/** A session to be stored; its token is known to the client alone. */
export interface NewSession {
  /** 16 random bytes in hex. */
  readonly id: string;
  /** BLAKE3 of the token, 32 bytes. */
  readonly tokenHash: Uint8Array;
  readonly deviceName: string;
  readonly createdAt: number;
}

/** A session that exists. */
export interface SessionRecord {
  readonly id: string;
  readonly accountId: number;
  readonly deviceName: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
}

/** Everything that an account begins with. */
export interface NewAccount {
  readonly address: string;
  readonly domain: string;
  readonly createdAt: number;
  readonly password: PasswordRecord;
  readonly keySet: KeySetRecord;
  readonly sealedKeys: SealedKeySetRecord;
  readonly session: NewSession;
  /** Identifies the solved challenge, 32 bytes: it is spent in the same transaction. Absent where none was asked for. */
  readonly challenge?: { readonly id: Uint8Array; readonly expiresAt: number };
  /** Present where the domain is hosted for its owner, by whose rules the account is made, in the same transaction. */
  readonly admission?: Admission;
}

/** What somebody has to show who makes an account at a hosted domain. */
export interface Admission {
  /** The name that is to be taken, the canonical part before the @. */
  readonly name: string;
  /** Whether only an invitation that names it opens the name. */
  readonly reserved: boolean;
  /** BLAKE3 of the code of an invitation, 32 bytes, which is spent; undefined without one. */
  readonly codeHash: Uint8Array | undefined;
  /** Accounts that the domain may have. */
  readonly maxAccounts: number;
}

/** Why a hosted domain does not admit an account. */
export type AdmissionRefusal =
  | "domain-gone"
  | "domain-suspended"
  | "registration-closed"
  | "invitation-required"
  | "invitation-invalid"
  | "name-reserved"
  | "domain-full";

/** Accounts, their passwords and their sealed contacts. */
export interface AccountStore {
  /** Makes an account with its first key set and session. An address that was ever used stays taken. */
  create(
    account: NewAccount,
  ): Promise<
    | { kind: "created"; accountId: number }
    | { kind: "address-taken" }
    | { kind: "challenge-spent" }
    | { kind: AdmissionRefusal }
  >;
  /** The account of a canonical address, unless it was deleted. */
  byAddress(address: string): Promise<AccountRecord | undefined>;
  byId(id: number): Promise<AccountRecord | undefined>;
  /**
   * Replaces the password of an account whose wrap number is still `expectedWrapNumber`, ends all its other sessions and
   * leaves a notice. Answers with the ids of the ended sessions.
   */
  changePassword(change: {
    readonly accountId: number;
    readonly expectedWrapNumber: number;
    readonly password: PasswordRecord;
    readonly keepSessionId: string;
    readonly now: number;
    readonly notice: NewNotice;
    readonly request: RequestKey;
  }): Promise<
    | { kind: "changed"; revokedSessions: number; revokedSessionIds: readonly string[] }
    | { kind: "conflict" }
    | RequestIdReused
  >;
  /** The result of an earlier request with this key, or undefined: asked before work that costs. */
  earlierResult(
    accountId: number,
    request: RequestKey,
    now: number,
  ): Promise<unknown | RequestIdReused | undefined>;
  sealedContacts(accountId: number): Promise<{ version: number; sealed: Uint8Array }>;
  putSealedContacts(put: {
    readonly accountId: number;
    readonly expectedVersion: number;
    readonly sealed: Uint8Array;
    readonly now: number;
    readonly request: RequestKey;
  }): Promise<{ kind: "put"; version: number } | { kind: "conflict"; version: number } | RequestIdReused>;
  /**
   * Deletes everything of an account and leaves its address taken. What other accounts hold stays. Answers with the ids of
   * the sessions that ended.
   */
  delete(accountId: number, now: number): Promise<readonly string[]>;
}

/** Sessions, found by the hash of their token. */
export interface SessionStore {
  create(accountId: number, session: NewSession): Promise<void>;
  /** The session of a token, with its account, unless either has ended by `now`. */
  byTokenHash(
    tokenHash: Uint8Array,
    now: number,
  ): Promise<{ session: SessionRecord; account: AccountRecord } | undefined>;
  /** Notes that a session was used. Called at most once a minute per session. */
  touch(sessionId: string, now: number): Promise<void>;
  /** Newest first, after the session at `after` if given. */
  list(
    accountId: number,
    page: {
      readonly limit: number;
      readonly after?: { readonly createdAt: number; readonly id: string };
      readonly now: number;
    },
  ): Promise<readonly SessionRecord[]>;
  /** True if there was such a session. */
  revoke(accountId: number, sessionId: string): Promise<boolean>;
}

/** Key sets by address and number. */
export interface KeySetStore {
  /**
   * One set of an address (the active one for number 0) with what the next one says about it, or why there is none. Asked
   * for most often of all.
   */
  get(
    address: string,
    number: number,
  ): Promise<
    | { kind: "found"; keySet: KeySetRecord; activeNumber: number; supersededAt: number; revoked: boolean }
    | { kind: "address-unknown" }
    | { kind: "number-unknown"; activeNumber: number }
  >;
  /** Sets with numbers above `after` in ascending order, and the one that follows the page, which supersedes its last. */
  list(
    address: string,
    page: { readonly limit: number; readonly after: number },
  ): Promise<
    | {
        kind: "found";
        keySets: readonly KeySetRecord[];
        activeNumber: number;
        next: KeySetRecord | undefined;
      }
    | { kind: "address-unknown" }
  >;
  /** Sealed seeds of all sets in ascending order. */
  sealed(accountId: number): Promise<readonly SealedKeySetRecord[]>;
  /** How many sets were published since `since`, by this node's clock at publication. */
  publishedSince(accountId: number, since: number): Promise<number>;
  /** Publishes the next set if the active number is still `expectedActiveNumber`, and leaves a notice. */
  publish(publication: {
    readonly accountId: number;
    readonly expectedActiveNumber: number;
    readonly keySet: KeySetRecord;
    readonly sealedKeys: SealedKeySetRecord;
    readonly now: number;
    readonly notice: NewNotice;
    readonly request: RequestKey;
  }): Promise<
    { kind: "published"; activeNumber: number } | { kind: "conflict"; activeNumber: number } | RequestIdReused
  >;
}

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

/** Secrets that all processes and nodes of a database share. */
export interface SecretStore {
  /** The cluster secret, 32 bytes, made by the first caller. */
  clusterSecret(): Promise<Uint8Array>;
}

/** Whether a hosted domain is served. */
export type HostedStateName = "ACTIVE" | "SUSPENDED";

/** How accounts are made at a domain. */
export type RegistrationModeName = "OPEN" | "INVITATION" | "CLOSED";

/** The owner's consent to a domain's being hosted here. */
export interface ConsentRecord {
  /** A DomainProof without time, node key and signature, in protobuf: domain public key, authorization, rotations. */
  readonly consent: Uint8Array;
  /** BLAKE3 of the domain public key, 32 bytes. */
  readonly domainKeyHash: Uint8Array;
  /** Serial of the authorization. */
  readonly serial: number;
  /** When the authorization ends. */
  readonly notAfter: number;
}

/** What a check of a hosted domain came to. */
export interface DomainCheckRecord {
  readonly state: HostedStateName;
  /** JSON. */
  readonly checks: string;
  readonly checkedAt: number;
  /** Since when checks have failed; 0 if the last one did not. */
  readonly failingSince: number;
  readonly nextCheckAt: number;
  /** The lowest serial that the owner stands by, as the domain's document said last; 0 if it said none. */
  readonly minSerial: number;
}

/** A domain that is hosted for its owner. */
export interface HostedDomainRecord extends ConsentRecord, DomainCheckRecord {
  /** Canonical. */
  readonly domain: string;
  /** Canonical address. */
  readonly administrator: string;
  readonly registrationMode: RegistrationModeName;
  readonly claimedAt: number;
}

/** What every process keeps in memory of each hosted domain. */
export type HostedDomainSummary = Pick<
  HostedDomainRecord,
  "domain" | "state" | "registrationMode" | "domainKeyHash" | "minSerial"
>;

/** Which consent somebody has seen: a change is only made if it is still the one in use. */
export type ConsentSeen = Pick<ConsentRecord, "domainKeyHash" | "serial">;

/** Somebody's act on a domain, which is done and written to its audit log only if `actor` still administers it. */
export interface DomainAct {
  readonly domain: string;
  /** Address of who does it. */
  readonly actor: string;
  readonly time: number;
}

/** The domain is not hosted, or administered by somebody else. */
export interface NotAdministrator {
  readonly kind: "not-administrator";
}

/** Domains that are hosted for their owners. Whatever changes one is in its audit log when it is durable. */
export interface DomainStore {
  summaries(): Promise<readonly HostedDomainSummary[]>;
  get(domain: string): Promise<HostedDomainRecord | undefined>;
  /** The domains of an administrator in order of name, above `after` if given. */
  list(
    administrator: string,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<readonly HostedDomainRecord[]>;
  /** Accounts that a domain has, and bytes that they have stored. */
  usage(domain: string): Promise<{ readonly accounts: number; readonly storedBytes: number }>;
  /** Makes a domain a hosted one, or gives it another consent, administrator and state, and spends the challenge. */
  claim(claim: {
    /** Where the domain is hosted already, its registration mode and the time of its first claim stay. */
    readonly record: HostedDomainRecord;
    readonly challenge: { readonly id: Uint8Array; readonly expiresAt: number };
    /** What was known of the domain; undefined if it was not hosted. */
    readonly seen: ConsentSeen | undefined;
    /** Domains that one account may administer. */
    readonly maxPerAdministrator: number;
    /** Domains that may be hosted at all. */
    readonly maxDomains: number;
  }): Promise<{
    readonly kind: "claimed" | "challenge-spent" | "conflict" | "too-many-of-administrator" | "too-many";
  }>;
  /**
   * Keeps the consent of the owner of one of the node's own domains, which has no administrator and no checks. False if another
   * one with as high a serial is kept.
   */
  install(
    domain: string,
    consent: ConsentRecord & { readonly minSerial: number },
    now: number,
  ): Promise<boolean>;
  /** Replaces the consent that was seen. */
  renew(
    act: DomainAct,
    renewal: {
      readonly seen: ConsentSeen;
      readonly consent: ConsentRecord;
      readonly check: DomainCheckRecord;
    },
  ): Promise<{ readonly kind: "renewed" | "conflict" } | NotAdministrator>;
  setRegistrationMode(
    act: DomainAct,
    mode: RegistrationModeName,
  ): Promise<{ readonly kind: "set" } | NotAdministrator>;
  /** Takes domains that are to be checked by `now`, and puts their next check off to `until`, so that nobody else does. */
  takeDue(now: number, until: number, limit: number): Promise<readonly HostedDomainRecord[]>;
  /** Writes what a check came to if the consent is still the one that was checked. */
  settleCheck(domain: string, seen: ConsentSeen, check: DomainCheckRecord): Promise<boolean>;
}

/** An invitation without its code. */
export interface InvitationRecord {
  /** 16 random bytes in hex. */
  readonly id: string;
  /** The only name that may be taken, in canonical form; empty for any. */
  readonly name: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Invitations. One is used by making an account ({@link Admission}). */
export interface InvitationStore {
  create(
    act: DomainAct,
    invitation: InvitationRecord & { readonly codeHash: Uint8Array },
    /** Most that may wait to be used. */
    maxInvitations: number,
  ): Promise<{ readonly kind: "created" | "too-many" } | NotAdministrator>;
  /** Newest first, after the one at `after` if given; those that have expired are left out. */
  list(
    domain: string,
    page: {
      readonly limit: number;
      readonly now: number;
      readonly after?: { readonly createdAt: number; readonly id: string };
    },
  ): Promise<readonly InvitationRecord[]>;
  revoke(act: DomainAct, id: string): Promise<{ readonly kind: "revoked" | "unknown" } | NotAdministrator>;
}

/** An account as its domain's administrator sees it. */
export interface DomainAccountRecord {
  readonly id: number;
  readonly address: string;
  readonly createdAt: number;
  readonly storedBytes: number;
  readonly suspended: boolean;
}

/** Accounts of hosted domains, for their administrators. */
export interface DomainAccountStore {
  /** In order of address, above `after` if given. */
  list(
    domain: string,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<readonly DomainAccountRecord[]>;
  /** Suspends an account of the domain, which ends its sessions, or lifts that. */
  setSuspended(
    act: DomainAct,
    address: string,
    suspended: boolean,
  ): Promise<
    | {
        readonly kind: "set";
        readonly account: DomainAccountRecord;
        readonly endedSessionIds: readonly string[];
      }
    | { readonly kind: "unknown" }
    | NotAdministrator
  >;
  /** Removes an account of the domain as {@link AccountStore.delete} does. */
  remove(
    act: DomainAct,
    address: string,
  ): Promise<
    | { readonly kind: "removed"; readonly accountId: number; readonly endedSessionIds: readonly string[] }
    | { readonly kind: "unknown" }
    | NotAdministrator
  >;
}

/** A record of a domain's audit log. */
export interface StoredAuditRecord {
  readonly sequence: number;
  /** An AuditRecordBody in canonical encoding. */
  readonly body: Uint8Array;
  /** BLAKE3 of the body, 32 bytes. */
  readonly hash: Uint8Array;
}

/** Audit logs. They are written with what they tell about, and in no other way. */
export interface AuditStore {
  /** Newest first, with sequences below `before` if given. */
  list(
    domain: string,
    page: { readonly limit: number; readonly before?: number },
  ): Promise<readonly StoredAuditRecord[]>;
}

/** What was done, without when and by whom. */
export type AuditDeed = Pick<AuditEvent, "action" | "subject">;

/** A key with which this node proves what it hosts. */
export interface NodeKeyRecord {
  /** From 1. */
  readonly number: number;
  /** 64 bytes. */
  readonly secretKey: Uint8Array;
  readonly activeFrom: number;
}

/** The node's keys, the same for all processes and nodes of the database. */
export interface NodeKeyStore {
  /** In ascending order of number. */
  list(): Promise<readonly NodeKeyRecord[]>;
  /** Adds a key behind number `after`, 0 if there is none. False if there is one by now. */
  add(key: Omit<NodeKeyRecord, "number">, after: number): Promise<boolean>;
  /** Deletes those with numbers below `number`. */
  deleteBelow(number: number): Promise<void>;
}

/** A domain that has proven itself. */
export interface RememberedDomain {
  /** Canonical. */
  readonly domain: string;
  readonly memory: DomainMemory;
  /** Counts the changes of what is remembered, from 1. */
  readonly revision: number;
}

/** What other domains have proven, until 30 days after they last did. */
export interface PeerDomainStore {
  /** Undefined where nothing is remembered. What has run out may still be there. */
  read(domain: string): Promise<RememberedDomain | undefined>;
  /**
   * Remembers something else than what was read under `revision`, which is 0 where nothing was. False, and nothing is
   * written, if it is no longer that.
   */
  replace(domain: string, revision: number, memory: DomainMemory): Promise<boolean>;
  /** In order of name, those after `after` if given; with `waiting` only domains with a key that waits. */
  list(page: {
    readonly after?: string;
    readonly limit: number;
    readonly waiting?: boolean;
  }): Promise<readonly RememberedDomain[]>;
  /** Domains with a key that waits and was last seen before a time, the longest unseen first. */
  waiting(lastSeenBefore: number, limit: number): Promise<readonly string[]>;
}
