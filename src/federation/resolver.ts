// From a domain to where its methods live: the cache in front of the checks of domains (docs/protocol.md section 2,
// "Caching"). Fresh documents are answered at once, stale ones too while a new one is fetched behind them, unless the domain
// is refused then; concurrent look-ups of a domain share one fetch; failures are remembered for a while; nothing grows
// without bound.

import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { ApiUrl } from "../protocol/api-url.ts";
import { type FetchDomain, refusesDomain } from "./domain-check.ts";
import { PeerError } from "./errors.ts";

/** Where a domain's methods live. */
export interface ResolvedDomain {
  /** Canonical domain. */
  readonly domain: string;
  readonly apiUrl: ApiUrl;
  /** Version of the discovery document, 1 or 2. */
  readonly documentVersion: number;
  /** Whether the owner has proven to consent to this host; never with a document of version 1. */
  readonly proof: "proven" | "unproven";
  /** When the document was fetched, in Unix milliseconds. */
  readonly fetchedAt: number;
  /** Until when it is fresh, in Unix milliseconds. */
  readonly freshUntil: number;
  /** TLS group over which it came, such as "X25519MLKEM768"; empty in cleartext. */
  readonly tlsGroup: string;
}

/** Resolves domains. */
export interface DomainResolver {
  /**
   * Resolves a canonical domain, from the cache where it can.
   *
   * @param options.source whoever causes the look-up, by connection: each may have a few uncached ones under way.
   * @throws PeerError.
   */
  resolve(domain: string, options?: { readonly source?: string | undefined }): Promise<ResolvedDomain>;
  /**
   * Drops a domain's document, because the peer that it leads to says that it does not host the domain. Does nothing
   * within a minute of the last time.
   */
  invalidate(domain: string): void;
  /** Ends what is under way and refuses everything from now on. */
  close(): void;
}

/** Bounds of a resolver. */
export interface ResolverLimits {
  /** Uncached domains that one source may have resolving at once. */
  readonly maxResolvingPerSource: number;
  /** Uncached domains that may be resolving at once altogether, and as many refreshes beside them. */
  readonly maxResolving: number;
  /** Domains that are remembered. */
  readonly maxDomains: number;
}

/** What a resolver is made of. */
export interface ResolverOptions {
  readonly fetch: FetchDomain;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: Partial<ResolverLimits>;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const MIN_MAX_AGE_MS = MINUTE;
const MAX_MAX_AGE_MS = 24 * HOUR;
const DEFAULT_MAX_AGE_MS = 5 * MINUTE;
/** How long beyond its freshness a document is still used when no other can be had. */
const STALE_ON_ERROR_MS = 24 * HOUR;
const FAILURE_TTL_MS = 30 * SECOND;
const INVALIDATION_INTERVAL_MS = MINUTE;

/** A document in the cache. */
interface Cached {
  readonly resolved: ResolvedDomain;
  /** Until when it may be used where no other can be had, in Unix milliseconds. */
  readonly usableUntil: number;
}

const DEFAULT_LIMITS: ResolverLimits = { maxResolvingPerSource: 8, maxResolving: 64, maxDomains: 10_000 };

interface Failure {
  readonly error: PeerError;
  readonly until: number;
}

/** Makes a resolver with an empty cache. */
export function createResolver(options: ResolverOptions): DomainResolver {
  const { fetch, clock, log } = options;
  const { maxResolvingPerSource, maxResolving, maxDomains } = { ...DEFAULT_LIMITS, ...options.limits };

  const documents = new LRUCache<string, Cached>({ max: maxDomains });
  const failures = new LRUCache<string, Failure>({ max: maxDomains });
  const invalidatedAt = new LRUCache<string, number>({ max: maxDomains });
  const fetches = new Map<string, Promise<ResolvedDomain>>();
  let refreshes = 0;
  const resolvingBySource = new Map<string, number>();
  const closing = new AbortController();

  const load = async (domain: string): Promise<ResolvedDomain> => {
    try {
      const found = await fetch(domain, closing.signal);
      const { document, maxAgeMs, tlsGroup, proof, provenUntil = Number.POSITIVE_INFINITY } = found;
      const fetchedAt = clock();
      const maxAge = Math.min(Math.max(maxAgeMs ?? DEFAULT_MAX_AGE_MS, MIN_MAX_AGE_MS), MAX_MAX_AGE_MS);
      const resolved: ResolvedDomain = {
        domain,
        apiUrl: document.apiUrl,
        documentVersion: document.version,
        proof,
        fetchedAt,
        freshUntil: Math.min(fetchedAt + maxAge, provenUntil),
        tlsGroup,
      };
      // No consent is used beyond its end, whoever cannot be reached.
      const usableUntil = Math.min(fetchedAt + maxAge + STALE_ON_ERROR_MS, provenUntil);
      documents.set(domain, { resolved, usableUntil });
      failures.delete(domain);
      return resolved;
    } catch (error) {
      // What was good before must not go on being used for a domain that is refused now.
      if (refusesDomain(error)) documents.delete(domain);
      if (error instanceof PeerError && !closing.signal.aborted) {
        failures.set(domain, { error, until: clock() + FAILURE_TTL_MS });
      }
      throw error;
    }
  };

  /** Starts a fetch that others can join; `ended` runs before anyone learns of its end. */
  const startFetch = (domain: string, ended: () => void): Promise<ResolvedDomain> => {
    const promise = load(domain).finally(() => {
      fetches.delete(domain);
      ended();
    });
    fetches.set(domain, promise);
    return promise;
  };

  const recentFailure = (domain: string): PeerError | undefined => {
    const failure = failures.get(domain);
    return failure !== undefined && clock() < failure.until ? failure.error : undefined;
  };

  /** Fetches behind a stale document. A failure is logged and remembered, and bothers nobody who has the old one. */
  const refresh = (domain: string): void => {
    if (fetches.has(domain) || refreshes >= maxResolving || recentFailure(domain) !== undefined) return;
    refreshes++;
    startFetch(domain, () => refreshes--).catch((error: unknown) => {
      log.warn({ domain, error }, "a stale discovery document could not be refreshed");
    });
  };

  const resolveUncached = (domain: string, source: string | undefined): Promise<ResolvedDomain> => {
    const ofSource = source === undefined ? 0 : (resolvingBySource.get(source) ?? 0);
    if (fetches.size - refreshes >= maxResolving || ofSource >= maxResolvingPerSource) {
      throw new PeerError("PEER_BUSY", domain, "too many domains are being looked up; try again in a moment");
    }
    if (source !== undefined) resolvingBySource.set(source, ofSource + 1);
    return startFetch(domain, () => {
      if (source === undefined) return;
      const left = (resolvingBySource.get(source) ?? 0) - 1;
      if (left > 0) resolvingBySource.set(source, left);
      else resolvingBySource.delete(source);
    });
  };

  const resolve: DomainResolver["resolve"] = async (domain, { source } = {}) => {
    if (closing.signal.aborted) {
      throw new PeerError("PEER_CALL_CANCELLED", domain, "this node is stopping");
    }
    const known = documents.get(domain);
    const now = clock();
    if (known !== undefined && now < known.usableUntil) {
      if (now >= known.resolved.freshUntil) refresh(domain);
      return known.resolved;
    }
    const failure = recentFailure(domain);
    if (failure !== undefined) throw failure;
    return fetches.get(domain) ?? resolveUncached(domain, source);
  };

  const invalidate = (domain: string): void => {
    const now = clock();
    if (now < (invalidatedAt.get(domain) ?? Number.NEGATIVE_INFINITY) + INVALIDATION_INTERVAL_MS) return;
    invalidatedAt.set(domain, now);
    documents.delete(domain);
    log.info({ domain }, "dropped a discovery document: its host says that it does not host the domain");
  };

  return { resolve, invalidate, close: () => closing.abort() };
}
