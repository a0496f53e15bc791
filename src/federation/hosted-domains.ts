/**
 * Which domains live on this node, as those ask who are asked often: at every address and every delivery. What stands behind
 * it is the services' (src/services/hosted-domains.ts).
 */

/**
 * How a domain that lives here is served.
 *
 * - `own`: one of the node's own, from its configuration.
 * - `active`: hosted for its owner, whose claim holds.
 * - `full`: the same, with its storage used up.
 * - `suspended`: its claim does not hold any more. Its users can read; nothing new comes or goes.
 */
export type DomainService = "own" | "active" | "full" | "suspended";

/** The domains of a node. */
export interface HostedDomains {
  /** Whether accounts of a canonical domain live here, however it is served. */
  has(domain: string): boolean;
  /** How a canonical domain is served; undefined if none of its accounts live here. Costs nothing. */
  service(domain: string): DomainService | undefined;
}

/**
 * Whether this node speaks for a domain. For a suspended one it does not: its owner may have moved it to another host, which
 * is then asked as that of any other domain is.
 */
export function isServed(domains: HostedDomains, domain: string): boolean {
  const service = domains.service(domain);
  return service !== undefined && service !== "suspended";
}

/** Domains that are a node's own, and no others. */
export function ownDomains(domains: Iterable<string>): HostedDomains {
  const own = new Set(domains);
  return {
    has: (domain) => own.has(domain),
    service: (domain) => (own.has(domain) ? "own" : undefined),
  };
}
