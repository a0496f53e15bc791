/**
 * Domains as this node may use them (docs/protocol.md, section 2.1): the resolver's way to a discovery document. One of version
 * 2 counts when everything that its owner published bears it out and it proves no less than it did before; one of version 1
 * as it stands, if the operator lets it.
 */

import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { DomainReport, DomainStanding } from "../protocol/domain-check.ts";
import { checkAndRemember, type DomainMemories } from "../protocol/domain-memories.ts";
import type { FetchedDocument } from "./document-fetcher.ts";
import { type DomainSources, gatherEvidence } from "./domain-evidence.ts";
import { PeerError, type PeerErrorReason } from "./errors.ts";

/** A discovery document that may be used, and how it came. */
export interface CheckedDocument extends FetchedDocument {
  /** Whether the owner consents to this host, as far as it can be proven; `unproven` for documents of version 1. */
  readonly proof: "proven" | "unproven";
  /** Until when the owner consents, in Unix milliseconds; undefined where that is unproven. */
  readonly provenUntil?: number;
}

/**
 * Fetches and checks the document of a canonical domain.
 *
 * @throws PeerError: of the document or the proof that could not be had; `DOMAIN_UNPROVEN`, `DOMAIN_DOWNGRADED` or
 *   `DOMAIN_CHANGED` where the domain does not bear them out; `PEER_CALL_CANCELLED` when `signal` ends it.
 */
export type FetchDomain = (domain: string, signal?: AbortSignal) => Promise<CheckedDocument>;

/** What a look at a domain found. */
export interface DomainLook {
  readonly report: DomainReport;
  /** The document and how it came, if it came. */
  readonly fetched: FetchedDocument | undefined;
  /** Why the document, or else the proof, could not be had. */
  readonly failure: PeerError | undefined;
}

/** Looks at domains. */
export interface DomainChecks {
  /** Makes every check, and remembers what follows. @throws PeerError `PEER_CALL_CANCELLED`. */
  look(domain: string, signal?: AbortSignal): Promise<DomainLook>;
  /** The look of one who wants to call the domain's host. */
  readonly fetch: FetchDomain;
}

/** What checks are made of. */
export interface DomainChecksOptions {
  readonly sources: DomainSources;
  readonly memories: DomainMemories;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether domains that cannot prove anything are refused. */
  readonly requireProven?: boolean | undefined;
  /** Whether hosts in cleartext may be named: in development only. */
  readonly allowInsecure?: boolean | undefined;
}

/** Domains whose last refusal is remembered, so that it is logged once. */
const MAX_TOLD = 10_000;

const REFUSALS = {
  unproven: "DOMAIN_UNPROVEN",
  downgraded: "DOMAIN_DOWNGRADED",
  changed: "DOMAIN_CHANGED",
} as const satisfies Partial<Record<DomainStanding, PeerErrorReason>>;

/** Whether an error says that a domain is not to be trusted, and not that it could not be asked. */
export function refusesDomain(error: unknown): boolean {
  return error instanceof PeerError && (Object.values(REFUSALS) as string[]).includes(error.reason);
}

/** Makes the checks. */
export function createDomainChecks(options: DomainChecksOptions): DomainChecks {
  const { sources, memories, clock, log, requireProven = false, allowInsecure = false } = options;
  const told = new LRUCache<string, string>({ max: MAX_TOLD });

  const look: DomainChecks["look"] = async (domain, signal) => {
    const { evidence, fetched, failure } = await gatherEvidence(sources, domain, signal);
    const report = await checkAndRemember(evidence, memories, clock(), { allowInsecure });
    return { report, fetched, failure };
  };

  const refuse = (domain: string, reason: PeerErrorReason, message: string): PeerError => {
    if (told.get(domain) !== message) {
      told.set(domain, message);
      log.warn({ domain, reason, problem: message }, "a domain is refused");
    }
    return new PeerError(reason, domain, `${domain} cannot be trusted: ${message}`);
  };

  const fetch: FetchDomain = async (domain, signal) => {
    const { report, fetched, failure } = await look(domain, signal);
    if (fetched === undefined) throw failure;
    switch (report.standing) {
      case "proven":
        told.delete(domain);
        return {
          ...fetched,
          proof: "proven",
          ...(report.authorization && { provenUntil: report.authorization.notAfter }),
        };
      case "version-1":
        if (!requireProven) return { ...fetched, proof: "unproven" };
        throw refuse(
          domain,
          "DOMAIN_UNPROVEN",
          "its keypears.json has version 1, which proves nothing, and this node asks its peers for proof",
        );
      case "unknown":
        throw failure ?? new PeerError("DISCOVERY_FAILED", domain, problemOf(report, "retry"));
      default:
        // A host that could not be asked at all has failed no check; whoever could not reach it wants to know why.
        if (failure !== undefined && !failedOf(report).some(({ name }) => name !== "proof")) {
          if (failure.reason !== "PEER_REFUSED") throw failure;
        }
        throw refuse(domain, REFUSALS[report.standing], problemOf(report, "failed"));
    }
  };

  return { look, fetch };
}

function failedOf({ checks }: DomainReport) {
  return checks.filter(({ outcome }) => outcome === "failed");
}

/** The first check that did not pass, in words. */
function problemOf({ checks }: DomainReport, outcome: "failed" | "retry"): string {
  const found = checks.find((check) => check.outcome === outcome);
  return found?.message ?? "the domain could not be checked";
}
