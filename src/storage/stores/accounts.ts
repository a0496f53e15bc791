/** Accounts, their passwords, sessions, and what idempotent requests are known by. */

import type { NewNotice } from "./contacts.ts";
import type { KeySetRecord, SealedKeySetRecord } from "./key-sets.ts";

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
