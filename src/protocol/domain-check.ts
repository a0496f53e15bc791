/**
 * Whether a host may speak for a domain (docs/protocol.md, section 2.1): every check, with what the owner has to mend where
 * one fails. A peer asks before it trusts, a host of itself on a schedule and when a domain is claimed, `discover` for people
 * to read; all of them by this one function. Pure: what was fetched, looked up and asked is passed in.
 */

import type { DomainProof } from "../../gen/keypears/v1/domain_pb.ts";
import { toHex } from "../crypto/bytes.ts";
import type { ApiUrlOptions } from "./api-url.ts";
import type { DiscoveryDocument } from "./discovery-document.ts";
import type { ParsedAuthorization } from "./domain-authorization.ts";
import {
  apiUrlCheck,
  authorizationCheck,
  check,
  DOCUMENT,
  datesCheck,
  day,
  domainKeyCheck,
  KEY_IS_ANOTHER,
  nodeKeyCheck,
  notHad,
  proofCheck,
  rotationCheck,
  serialCheck,
  txtCheck,
} from "./domain-check-items.ts";
import {
  type DomainJudgement,
  type DomainMemory,
  type Downgrade,
  judgeDomain,
  type SeenDomain,
  withoutPending,
} from "./domain-memory.ts";
import type { HostedConsent } from "./domain-proof.ts";

/** Something that could not be had. */
export interface NotHad {
  readonly kind: "failed";
  /** Why, in words for the owner. */
  readonly message: string;
  /** Whether it may be had later without anybody's doing. */
  readonly retry: boolean;
}

/** What the TXT records at `_keypears.{domain}` are: NXDOMAIN and NODATA are absence, all else that goes wrong is a failure. */
export type TxtLookup =
  | { readonly kind: "found"; readonly records: readonly (readonly string[])[] }
  | { readonly kind: "absent" }
  | NotHad;

/** What the host has to show for itself. */
export type Shown =
  /** To a peer: its answer to the nonce. */
  | { readonly kind: "proof"; readonly proof: DomainProof; readonly nonce: Uint8Array }
  /** To itself: what it would prove with. */
  | { readonly kind: "consent"; readonly consent: HostedConsent; readonly nodePublicKey: Uint8Array }
  | NotHad;

/** What is known of a domain at one moment. */
export interface DomainEvidence {
  /** Canonical domain. */
  readonly domain: string;
  readonly document: { readonly kind: "found"; readonly document: DiscoveryDocument } | NotHad;
  readonly txt: TxtLookup;
  /** Left out where the document is of version 1, whose host nobody asks. */
  readonly shown?: Shown;
  /** Where a host that checks itself is reached, in canonical form: what the document has to name. */
  readonly hostApiUrl?: string;
}

/** Names of the checks, in the order in which they are reported. */
export const DOMAIN_CHECKS = [
  "document",
  "api-url",
  "domain-key",
  "authorization",
  "dates",
  "serial",
  "node-key",
  "proof",
  "rotation",
  "dns",
  "memory",
] as const;
export type DomainCheckName = (typeof DOMAIN_CHECKS)[number];

/** One check. */
export interface DomainCheck {
  readonly name: DomainCheckName;
  /** `retry`: could not be made now. `skipped`: what it would look at did not pass. */
  readonly outcome: "passed" | "failed" | "retry" | "skipped";
  /** What was found, and what to do about it; for people. */
  readonly message: string;
}

/**
 * How a domain stands.
 *
 * - `proven`: every check passed.
 * - `version-1`: it proves nothing, and never did as far as is remembered.
 * - `unproven`: a check failed.
 * - `downgraded`, `changed`: all is in order in itself, but not with what is remembered.
 * - `unknown`: something could not be had, and may be later.
 */
export type DomainStanding = DomainJudgement["standing"] | "unproven" | "unknown";

/** What came of the checks. */
export interface DomainReport {
  readonly standing: DomainStanding;
  readonly checks: readonly DomainCheck[];
  /** What to remember from now on; undefined if nothing. */
  readonly memory: DomainMemory | undefined;
  /** The authorization, where it verifies. */
  readonly authorization?: ParsedAuthorization;
}

/**
 * Checks a domain.
 *
 * @param memory what is remembered of it; undefined if nothing, or where a host checks itself.
 * @param now Unix milliseconds.
 * @throws Error when a document of version 2 comes without what its host has to show: a mistake of the caller's.
 */
export function checkDomain(
  evidence: DomainEvidence,
  memory: DomainMemory | undefined,
  now: number,
  options: ApiUrlOptions = {},
): DomainReport {
  const { checks, seen, authorization } = lookAt(evidence, now, options);
  const report = (standing: DomainStanding, last: DomainCheck, next: DomainMemory | undefined) => ({
    standing,
    checks: [...checks, last].toSorted(inOrder),
    memory: next,
    ...(authorization && { authorization }),
  });
  const skipped = check("memory", "skipped", "not compared with what was seen before");
  if (checks.some(({ outcome }) => outcome === "failed")) {
    return report("unproven", skipped, memory && withoutPending(memory));
  }
  if (seen === undefined) return report("unknown", skipped, memory);
  const judgement = judgeDomain(memory, seen, now);
  return report(judgement.standing, memoryCheck(evidence.domain, judgement), judgement.memory);
}

/** Checks that look at the authorization's terms. */
const OF_AUTHORIZATION = ["dates", "serial", "node-key", "proof"] as const;

interface Look {
  readonly checks: readonly DomainCheck[];
  readonly authorization?: ParsedAuthorization | undefined;
  /** Left out unless every check passed. */
  readonly seen?: SeenDomain;
}

/** All checks but that of the memory. Each that can be made is made, so that an owner learns of everything at once. */
function lookAt(evidence: DomainEvidence, now: number, options: ApiUrlOptions): Look {
  const { domain, shown } = evidence;
  if (evidence.document.kind === "failed") return { checks: [notHad("document", evidence.document)] };
  const { document } = evidence.document;
  if (document.version === 1) return lookAtVersion1(domain, shown);
  if (shown === undefined) throw new Error("a version 2 document needs what its host has to show");

  const checks = [check("document", "passed", `${DOCUMENT} at ${domain} has version 2`)];
  const dns = txtCheck(domain, document, evidence.txt);
  checks.push(dns.check);
  if (shown.kind === "failed") {
    checks.push(apiUrlCheck(evidence, document, undefined), notHad("proof", shown));
    return { checks };
  }
  const consent = shown.kind === "proof" ? shown.proof : shown.consent;
  const key = domainKeyCheck(domain, document, consent.domainPublicKey);
  const chain = rotationCheck(domain, consent);
  const signed = key.outcome === "passed" ? authorizationCheck(domain, consent, options) : KEY_IS_ANOTHER;
  const { authorization } = signed;
  checks.push(key, chain.check, signed.check, apiUrlCheck(evidence, document, authorization));
  if (authorization === undefined) {
    const without =
      shown.kind === "proof" ? OF_AUTHORIZATION : OF_AUTHORIZATION.filter((name) => name !== "proof");
    checks.push(
      ...without.map((name) => check(name, "skipped", "there is no valid authorization to look at")),
    );
    return { checks };
  }
  checks.push(
    datesCheck(authorization, now),
    serialCheck(domain, document, authorization, dns.minSerial, chain.rotations),
    nodeKeyCheck(authorization, shown),
  );
  if (shown.kind === "proof") checks.push(proofCheck(shown, authorization, now));
  if (checks.some(({ outcome }) => outcome !== "passed")) return { checks, authorization };
  const seen = {
    version: 2,
    keyHash: document.domainPubKeyHash,
    serial: authorization.serial,
    bodyHash: toHex(authorization.bodyHash),
    txt: dns.present,
    rotations: chain.rotations,
  } as const;
  return { checks, authorization, seen };
}

/** A host that a domain of version 1 names proves nothing to peers. For a claim that is not enough. */
function lookAtVersion1(domain: string, shown: Shown | undefined): Look {
  const text = `${DOCUMENT} at ${domain} has version 1, which names no domain key`;
  if (shown?.kind === "consent") {
    return {
      checks: [
        check("document", "failed", `${text}: publish version 2 (keypears domain document ${domain})`),
      ],
    };
  }
  return { checks: [check("document", "passed", `${text}: its host is not proven`)], seen: { version: 1 } };
}

const DOWNGRADES: Readonly<Record<Downgrade, string>> = {
  version: `${DOCUMENT} went back to version 1: publish version 2 again`,
  serial: "the authorization has a lower serial than one seen before: renew it",
  body: "the authorization is another than the one seen before with its serial: renew it with a higher one",
  txt: "the TXT record is gone: publish it again",
};

function memoryCheck(domain: string, judgement: DomainJudgement): DomainCheck {
  switch (judgement.standing) {
    case "version-1":
      return check("memory", "passed", "never proved itself before");
    case "proven":
      return check("memory", "passed", PROVEN_TEXTS[judgement.newKey ?? "same"]);
    case "downgraded":
      return check("memory", "failed", `${domain} proves less than it did: ${DOWNGRADES[judgement.what]}`);
    case "changed": {
      const { pending } = judgement.memory;
      const message =
        `${domain} has another domain key, ${pending?.keyHash}, and nothing vouches for it: it counts from ` +
        `${day(judgement.until)} if it stands until then, or when the operator confirms it`;
      return check("memory", "failed", message);
    }
  }
}

const PROVEN_TEXTS = {
  same: "agrees with what was seen before",
  rotated: "the domain key is new, and the one seen before vouches for it",
  waited: "the domain key is new, and has stood for 7 days",
} as const;

function inOrder(a: DomainCheck, b: DomainCheck): number {
  return DOMAIN_CHECKS.indexOf(a.name) - DOMAIN_CHECKS.indexOf(b.name);
}
