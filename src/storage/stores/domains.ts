/** Domains that are hosted for their owners, their administration, and what other domains have proven (docs/protocol.md §2.1). */

import type { AuditEvent } from "../../protocol/audit-record.ts";
import type { DomainMemory } from "../../protocol/domain-memory.ts";

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
