/**
 * Checks of the domains that this node hosts (docs/protocol.md, section 2.1): what the domain publishes now, against the
 * consent that is stored, by the same function by which peers judge it; and what follows for the domain.
 */

import type { Clock } from "../clock.ts";
import { lp, primitives, toHex } from "../crypto/index.ts";
import type { PublishedEvidence } from "../federation/domain-evidence.ts";
import { parseAuthorizationBody } from "../protocol/domain-authorization.ts";
import { checkDomain, type DomainReport } from "../protocol/domain-check.ts";
import { domainKeyHash } from "../protocol/domain-key.ts";
import type { DomainCheckRecord, HostedDomainRecord } from "../storage/stores.ts";
import { authorizedKey, type KeptConsent, readConsent } from "./domain-consents.ts";
import type { NodeKeys } from "./node-keys.ts";

/** Looks up what a canonical domain publishes now, past every cache. */
export type LookUpPublished = (domain: string, signal?: AbortSignal) => Promise<PublishedEvidence>;

/** What a hosted domain is checked with. */
export interface HostChecksOptions {
  readonly clock: Clock;
  /** Where this node's methods live, in canonical form. */
  readonly apiUrl: string;
  /** True under development resolution. */
  readonly development: boolean;
  /** What this node says with the discovery documents that it serves. */
  readonly documentMark: string;
  readonly nodeKeys: NodeKeys;
  readonly lookUpPublished: LookUpPublished;
}

/** What a check found. */
export interface HostCheck {
  readonly report: DomainReport;
  readonly published: PublishedEvidence;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How often a domain is checked whose claim holds, and one whose claim does not or cannot be checked. */
const CHECK_INTERVAL_MS = DAY;
const RECHECK_INTERVAL_MS = HOUR;
/** The same shortly after it failed, so that a mistake that is soon mended is soon forgotten. */
const FIRST_RECHECK_INTERVAL_MS = 10 * MINUTE;
/** How long a domain may fail to give its document before it is suspended, and how long it may be out of reach. */
const MISSING_GRACE_MS = HOUR;
const UNREACHABLE_GRACE_MS = 7 * DAY;

/**
 * The node's word about its own documents, which nobody can make without its database: 32 hex digits. A document that the node
 * serves itself names the key of the consent that is stored, and changes with it.
 */
export function documentMarkOf(clusterSecret: Uint8Array): string {
  return toHex(primitives().blake3.keyed(clusterSecret, lp("document-mark")).subarray(0, 16));
}

/**
 * Checks a consent against what its domain publishes.
 *
 * @param known hash of the key of the consent that it follows, which a document of the node's own still names; undefined for a
 *   domain that is not hosted yet.
 * @throws PeerError `PEER_CALL_CANCELLED`, StorageError.
 */
export async function checkHosted(
  options: HostChecksOptions,
  domain: string,
  consent: KeptConsent,
  known?: Uint8Array,
  signal?: AbortSignal,
): Promise<HostCheck> {
  const apiUrlOptions = { allowInsecure: options.development };
  const [published, keys] = await Promise.all([
    options.lookUpPublished(domain, signal),
    options.nodeKeys.present(),
  ]);
  const terms = parseAuthorizationBody(consent.authorization.body, apiUrlOptions);
  const isOwnDocument = published.fetched?.servedBy === options.documentMark;
  const evidence = {
    domain,
    document: isOwnDocument && known ? following(consent, known, published.document) : published.document,
    txt: published.txt,
    shown: { kind: "consent", consent, nodePublicKey: authorizedKey(terms, keys).publicKey },
    hostApiUrl: options.apiUrl,
  } as const;
  return { report: checkDomain(evidence, undefined, options.clock(), apiUrlOptions), published };
}

/** The document as this node will serve it with a consent that follows the known one. */
function following(
  { domainPublicKey }: KeptConsent,
  known: Uint8Array,
  found: PublishedEvidence["document"],
): PublishedEvidence["document"] {
  if (found.kind !== "found" || found.document.version !== 2) return found;
  if (found.document.domainPubKeyHash !== toHex(known)) return found;
  const domainPubKeyHash = toHex(domainKeyHash(domainPublicKey));
  return { kind: "found", document: { ...found.document, domainPubKeyHash } };
}

/** Checks a domain as it is stored, and says what follows. */
export async function recheck(
  options: HostChecksOptions,
  record: HostedDomainRecord,
  signal?: AbortSignal,
): Promise<DomainCheckRecord> {
  const check = await checkHosted(options, record.domain, readConsent(record), undefined, signal);
  return followsFrom(check, record, options.clock());
}

/**
 * What follows from a check for a domain that stood as `before`. What contradicts the claim suspends it at once; a document
 * that is not there suspends it after an hour, one that cannot be asked for after 7 days.
 */
export function followsFrom(
  { report, published }: HostCheck,
  before: Pick<HostedDomainRecord, "state" | "failingSince" | "minSerial" | "notAfter">,
  now: number,
): DomainCheckRecord {
  const { document } = published;
  const minSerial =
    document.kind === "found" && document.document.version === 2
      ? (document.document.minSerial ?? 0)
      : before.minSerial;
  const checks = JSON.stringify(report.checks);
  if (report.standing === "proven") {
    // An authorization that ends meanwhile is found to have ended when it does.
    const nextCheckAt = Math.min(now + jittered(CHECK_INTERVAL_MS), Math.max(before.notAfter, now + MINUTE));
    return { state: "ACTIVE", checks, checkedAt: now, failingSince: 0, nextCheckAt, minSerial };
  }
  const failingSince = before.failingSince || now;
  const grace =
    report.standing === "unknown" ? UNREACHABLE_GRACE_MS : document.kind === "found" ? 0 : MISSING_GRACE_MS;
  const failingFor = now - failingSince;
  const interval = failingFor < HOUR ? FIRST_RECHECK_INTERVAL_MS : RECHECK_INTERVAL_MS;
  return {
    state: before.state === "SUSPENDED" || failingFor >= grace ? "SUSPENDED" : "ACTIVE",
    checks,
    checkedAt: now,
    failingSince,
    nextCheckAt: now + jittered(interval),
    minSerial,
  };
}

/** Up to a tenth sooner or later, so that domains claimed together are not checked together for ever. */
function jittered(ms: number): number {
  return Math.round(ms * (0.9 + 0.2 * Math.random()));
}
