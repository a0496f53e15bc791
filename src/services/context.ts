/**
 * What a service is given: made once when the node starts, passed to every service, nothing fetched from globals. And what
 * a single call knows of its caller, put there by the server before a message is decoded.
 */

import {
  type ConnectError,
  type ContextKey,
  createContextKey,
  type HandlerContext,
} from "@connectrpc/connect";
import type { Clock } from "../clock.ts";
import type { Inbound } from "../federation/inbound.ts";
import type { DomainResolver } from "../federation/resolver.ts";
import type { Hints } from "../hints.ts";
import type { Logger } from "../logger.ts";
import type { AccountRecord, SessionRecord, Stores } from "../storage/stores.ts";
import type { LookUpPublished } from "./domain-checks.ts";
import { serviceError } from "./errors.ts";
import type { AccountEvents } from "./events.ts";
import type { FamiliarPrefixes } from "./familiar-prefixes.ts";
import type { NodeHealth } from "./health.ts";
import type { NodeDomains } from "./hosted-domains.ts";
import type { KeySetAnswers } from "./key-set-answers.ts";
import type { NodeKeys } from "./node-keys.ts";

/** Limits that an operator may set (docs/protocol.md, section 10). */
export interface NodeLimits {
  readonly maxRequestBytes: number;
  readonly maxAnonymousRequestBytes: number;
  readonly maxEnvelopeBytes: number;
  readonly maxDeliveryEnvelopes: number;
  readonly maxBatchLookups: number;
  readonly maxKeySets: number;
  readonly maxKeySetsPerDay: number;
  readonly defaultDeadlineMs: number;
  readonly lookupsPerSecond: number;
  readonly lookupBurst: number;
  /** Attempts to log in, per source prefix and minute, a third of them at one address; and to confirm a login key. */
  readonly loginAttemptsPerMinute: number;
  /** Attempts to log in to one address that may fail per minute, from wherever they come. */
  readonly failedLoginsPerMinute: number;
  readonly sendsPerSecond: number;
  readonly sendBurst: number;
  readonly accountChangesPerSecond: number;
  readonly accountChangeBurst: number;
  readonly maxAccountBytes: number;
  readonly maxContacts: number;
  readonly maxFirstContactsPerDay: number;
  /** Envelopes that are delivered per second from one source prefix, and from one sender domain. */
  readonly deliveriesPerSecond: number;
  readonly deliveryBurst: number;
  /** Envelopes that are delivered per second to one recipient. */
  readonly recipientDeliveriesPerSecond: number;
  readonly recipientDeliveryBurst: number;
}

/** Limits of the domains that are hosted for their owners. */
export interface HostingLimits {
  /** Domains that this node hosts for others. */
  readonly maxDomains: number;
  /** Domains that one account administers. */
  readonly maxPerAdministrator: number;
  /** Accounts of one domain. */
  readonly maxAccounts: number;
  /** Bytes that the accounts of one domain have stored together. */
  readonly maxStoredBytes: number;
  /** Invitations of one domain that wait to be used. */
  readonly maxInvitations: number;
}

/** What all services share. */
export interface ServiceContext {
  /** Name and version, such as "keypears-node/0.1.0". */
  readonly software: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stores: Stores;
  /** Domains whose accounts live here. */
  readonly domains: NodeDomains;
  /** What is allowed to the domains that are hosted for their owners. */
  readonly hosting: HostingLimits;
  /** With which this node proves what it hosts. */
  readonly nodeKeys: NodeKeys;
  readonly lookUpPublished: LookUpPublished;
  /** Where this node's methods live, in canonical form. */
  readonly apiUrl: string;
  /** What this node says with the discovery documents that it serves. */
  readonly documentMark: string;
  /** True under development resolution. */
  readonly development: boolean;
  /** Whether anyone may make an account. */
  readonly registrationOpen: boolean;
  /** Difficulty of the stamp for making an account. */
  readonly creationDifficulty: number;
  /** Difficulty of the stamp for a first contact. */
  readonly firstContactDifficulty: number;
  readonly limits: NodeLimits;
  readonly resolver: DomainResolver;
  readonly inbound: Inbound;
  /** Tells the outbox that something waits; with a domain, that it is to be tried though it failed before. */
  readonly wakeOutbox: (retriedDomain?: string) => void;
  readonly events: AccountEvents;
  readonly health: NodeHealth;
  /** To and from the other processes and nodes of the database. */
  readonly hints: Hints;
  /** Takes points (1 if none are given) from a budget; throws RATE_LIMITED with RetryInfo when they are not there. */
  readonly spend: (budget: Budget, key: string, points?: number) => Promise<void>;
  /** Throws as `spend` would for one point, and takes none. */
  readonly requireBudget: (budget: Budget, key: string) => Promise<void>;
  readonly familiarPrefixes: FamiliarPrefixes;
  /** Has to be told whenever the key sets of an address change. */
  readonly keySetAnswers: KeySetAnswers;
  /** How often a stream looks for news that no event announced, and sends a message that keeps it alive. */
  readonly watchPollMs: number;
  readonly watchKeepAliveMs: number;
  /** Fires when the node stops: open streams end with SHUTTING_DOWN. */
  readonly shutdown: AbortSignal;
}

/**
 * Budgets that callers draw from. A key begins with what it counts by: "prefix:", "address:" or "account:".
 *
 * - `lookup`: questions without a session, and resolutions with one. Has to hold a whole batch of look-ups at once.
 * - `login`: attempts to log in, or to confirm a login key.
 * - `login-address`: attempts to log in to one address from one prefix; the key names both.
 * - `login-failures`: attempts to log in to one address that failed, from wherever.
 * - `creation`: attempts to make an account.
 * - `send`: shares that an account sends.
 * - `account`: whatever else an account changes.
 * - `domain-check`: look-ups of a domain that an account claims or administers.
 * - `proof`: proofs of hosted domains that this node signs; `proof-source`: those that one prefix asks for.
 */
export type Budget =
  | "lookup"
  | "login"
  | "login-address"
  | "login-failures"
  | "creation"
  | "send"
  | "account"
  | "domain-check"
  | "proof"
  | "proof-source";

/** The session that a request's bearer token opened. */
export interface AuthenticatedSession {
  readonly session: SessionRecord;
  readonly account: AccountRecord;
  /** BLAKE3 of the token, 32 bytes: a stream asks by it whether the session still exists. */
  readonly tokenHash: Uint8Array;
}

/** The caller of a request. */
export interface Caller {
  /** /24 or /56 that the request came from, for budgets. */
  readonly sourcePrefix: string;
  /** Identifies the connection, for limits per connection. */
  readonly connectionId: string;
  /** The session of the bearer token; "invalid" if a token was sent that opens none. */
  readonly session: AuthenticatedSession | "invalid" | undefined;
}

/** Where the server puts the caller. */
export const callerKey: ContextKey<Caller> = createContextKey<Caller>(
  { sourcePrefix: "unknown", connectionId: "unknown", session: undefined },
  { description: "caller of a request" },
);

/**
 * The session that a method needs.
 *
 * @throws ConnectError UNAUTHENTICATED with SESSION_REQUIRED or SESSION_INVALID.
 */
export function requireSession(call: HandlerContext): AuthenticatedSession {
  const { session } = call.values.get(callerKey);
  if (session === undefined) {
    throw serviceError(
      "SESSION_REQUIRED",
      "this method needs a session: log in and send its token as a bearer token",
    );
  }
  if (session === "invalid") throw sessionInvalid();
  return session;
}

/**
 * The session that a method needs which changes something of its account, paid for from the `account` budget.
 *
 * @throws ConnectError UNAUTHENTICATED as requireSession does, or RATE_LIMITED.
 */
export async function requireChangingSession(
  context: ServiceContext,
  call: HandlerContext,
): Promise<AuthenticatedSession> {
  const authenticated = requireSession(call);
  await context.spend("account", `account:${authenticated.account.id}`);
  return authenticated;
}

/** UNAUTHENTICATED with SESSION_INVALID. */
export function sessionInvalid(): ConnectError {
  return serviceError("SESSION_INVALID", "the session has ended or never was: log in again");
}
