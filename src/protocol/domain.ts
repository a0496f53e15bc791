// The domain of an address and the host of an API URL, in canonical form (docs/protocol.md section 1): UTS #46
// non-transitional with hyphen, STD3, bidi and joiner checks, lower-case A-labels (RFC 5890 §2.3.2.1), no trailing dot,
// at least two labels, no IP address. What leaves here is compared octet by octet, hashed and signed.

import { ProtocolError } from "./errors.ts";
import { domainToAscii } from "./idna.ts";

/** Longest canonical domain, in octets (RFC 5321 §4.5.3.1.2). */
export const MAX_DOMAIN_OCTETS = 255;

/** Longest label, in octets (RFC 1035 §2.3.4). */
export const MAX_LABEL_OCTETS = 63;

// Characters that UTS #46 ignores or composes make an input longer than its canonical form; past this no sane one is
// left, and the work done on a hostile one stays small.
const MAX_INPUT_UNITS = 2_048;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the class is ASCII, whose first half is control characters.
const ASCII = /^[\x00-\x7f]*$/;
const LDH_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
// What an inet_aton-like parser takes for a number: the "ends in a number" check of the WHATWG URL Standard §3.5.
const NUMBER = /^(?:[0-9]+|0x[0-9a-f]*)$/;

/**
 * Brings a domain to its canonical form.
 *
 *     canonicalDomain("Bücher.Example") === "xn--bcher-kva.example"
 *
 * @throws ProtocolError `DOMAIN_INVALID`, field "domain", whose message names what is wrong.
 */
export function canonicalDomain(input: string): string {
  if (input === "") throw invalid("domain is empty");
  if (input.length > MAX_INPUT_UNITS) throw invalid("domain is too long");
  if (input.startsWith("[")) throw invalid("domain is an IP literal; a DNS name is needed");

  const canonical = toLowerCaseALabels(input);
  const labels = canonical.split(".");
  if (labels.at(-1) === "") throw invalid("domain ends in a dot");
  if (labels.includes("")) throw invalid("domain has an empty label");
  if (labels.some((label) => label.length > MAX_LABEL_OCTETS)) {
    throw invalid(`domain has a label longer than ${MAX_LABEL_OCTETS} octets`);
  }
  if (canonical.length > MAX_DOMAIN_OCTETS)
    throw invalid(`domain is longer than ${MAX_DOMAIN_OCTETS} octets`);
  if (labels.length < 2) throw invalid("domain has only one label");
  if (NUMBER.test(labels.at(-1) ?? "")) throw invalid("domain is an IP address or ends in a number");
  return canonical;
}

/** Whether `domain` is a domain in canonical form already. Never throws. */
export function isCanonicalDomain(domain: string): boolean {
  try {
    return canonicalDomain(domain) === domain;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

// For ASCII without A-labels, UTS #46 comes down to lower-casing and the letter-digit-hyphen rules: the mapping table
// maps A–Z and nothing else there, no bidi or joiner rule applies, and NFC changes nothing. That is nearly every domain,
// at a twentieth of the table's cost; test/protocol/domain.test.ts holds the two roads against each other.
function toLowerCaseALabels(input: string): string {
  if (!input.isWellFormed()) throw invalid("domain has a lone surrogate");
  const lowered = input.toLowerCase();
  if (!ASCII.test(input) || lowered.split(".").some((label) => label.startsWith("xn--"))) {
    const ascii = domainToAscii(input);
    if (ascii === undefined) throw invalid("domain has a character or label that UTS #46 refuses");
    return ascii;
  }
  for (const label of lowered.split(".")) {
    if (label !== "") checkLdhLabel(label);
  }
  return lowered;
}

function checkLdhLabel(label: string): void {
  if (label.startsWith("-") || label.endsWith("-")) {
    throw invalid("domain has a label that starts or ends with a hyphen");
  }
  if (label.startsWith("--", 2)) throw invalid("domain has a label with hyphens in third and fourth place");
  if (!LDH_LABEL.test(label)) throw invalid("domain has a character other than letters, digits and hyphens");
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("DOMAIN_INVALID", message, { field: "domain" });
}
