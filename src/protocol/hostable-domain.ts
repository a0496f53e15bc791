/**
 * Which domains a node takes on for others (docs/protocol.md, section 2.1). Any domain is a valid part of an address; but a
 * name that is made to be taken for another serves nobody who reads it, and one that DNS cannot hold leads nowhere.
 */

import { displayDomain } from "./display.ts";
import { canonicalDomain } from "./domain.ts";
import { ProtocolError } from "./errors.ts";

/** Longest name that DNS can look up, in octets without the dot at the end (RFC 1035 §2.3.4). */
const MAX_DNS_NAME_OCTETS = 253;

/**
 * Brings the domain of a claim to its canonical form.
 *
 * @throws ProtocolError DOMAIN_INVALID; DOMAIN_NAME_MISLEADING for labels with invisible characters, of mixed scripts, or of
 *   another script's letters that look like Latin ones; DOMAIN_INVALID for what DNS cannot hold.
 */
export function hostableDomain(input: string): string {
  const domain = canonicalDomain(input);
  if (domain.length > MAX_DNS_NAME_OCTETS) {
    throw new ProtocolError("DOMAIN_INVALID", `domain is longer than ${MAX_DNS_NAME_OCTETS} octets`, {
      field: "domain",
    });
  }
  const [warning] = displayDomain(domain).warnings;
  if (warning !== undefined) {
    throw new ProtocolError("DOMAIN_NAME_MISLEADING", `${domain} is not hosted for anyone: ${warning}`, {
      field: "domain",
    });
  }
  return domain;
}
