/**
 * The single checks of a domain (docs/protocol.md, section 2.1), each with its words for the owner. domain-check.ts puts them
 * together and says what follows.
 */

import type { DomainProof } from "../../gen/keypears/v1/domain_pb.ts";
import { toHex } from "../crypto/bytes.ts";
import { COMPOSITE_PUBLIC_KEY_LENGTH } from "../crypto/composite.ts";
import type { ApiUrlOptions } from "./api-url.ts";
import type { DiscoveryDocument, DiscoveryDocumentV2 } from "./discovery-document.ts";
import {
  authorizationStanding,
  type ParsedAuthorization,
  verifyAuthorization,
} from "./domain-authorization.ts";
import type {
  DomainCheck,
  DomainCheckName,
  DomainEvidence,
  NotHad,
  Shown,
  TxtLookup,
} from "./domain-check.ts";
import { domainKeyHash } from "./domain-key.ts";
import { type HostedConsent, verifyProofSignature } from "./domain-proof.ts";
import { type ParsedRotation, verifyRotations } from "./domain-rotation.ts";
import { domainTxtName, readDomainTxt } from "./domain-txt.ts";
import { ProtocolError } from "./errors.ts";
import { DOMAIN_PROOF_CLOCK_SKEW_MS } from "./limits.ts";
import { sameBytes } from "./strict-message.ts";
import { timeFromWire } from "./time.ts";

/** What the document is called when one speaks of it. */
export const DOCUMENT = "keypears.json";

/** The document names this host, where it checks itself, and the authorization names what the document does. */
export function apiUrlCheck(
  { domain, hostApiUrl }: DomainEvidence,
  { apiUrl }: DiscoveryDocument,
  authorization: ParsedAuthorization | undefined,
): DomainCheck {
  if (hostApiUrl !== undefined && apiUrl.href !== hostApiUrl) {
    const message = `${DOCUMENT} at ${domain} names another apiUrl: ${apiUrl.href}; this node is at ${hostApiUrl}`;
    return check("api-url", "failed", message);
  }
  if (authorization && authorization.apiUrl !== apiUrl.href) {
    const message =
      `the authorization is for ${authorization.apiUrl}, ${DOCUMENT} at ${domain} names ${apiUrl.href}: ` +
      "make one name what the other does";
    return check("api-url", "failed", message);
  }
  return check("api-url", "passed", apiUrl.href);
}

/** The key that the host shows is the one that the document names. */
export function domainKeyCheck(domain: string, document: DiscoveryDocumentV2, key: Uint8Array): DomainCheck {
  if (key.length !== COMPOSITE_PUBLIC_KEY_LENGTH) {
    return check("domain-key", "failed", `the host shows a domain key of ${key.length} bytes, which is none`);
  }
  const hash = toHex(domainKeyHash(key));
  if (hash === document.domainPubKeyHash) return check("domain-key", "passed", hash);
  const message =
    `${DOCUMENT} at ${domain} names the domain key ${document.domainPubKeyHash}, its host has an authorization by ` +
    `${hash}: publish the right hash, or renew the authorization`;
  return check("domain-key", "failed", message);
}

/** The chain of changes leads to the key; and the chain. */
export function rotationCheck(
  domain: string,
  { rotations = [], domainPublicKey }: Pick<HostedConsent, "rotations" | "domainPublicKey">,
): { readonly check: DomainCheck; readonly rotations: readonly ParsedRotation[] } {
  try {
    const chain = verifyRotations(rotations, domain, domainPublicKey);
    const text =
      chain.length === 0
        ? "the domain key was not changed"
        : `the domain key was changed ${chain.length} times`;
    return { check: check("rotation", "passed", text), rotations: chain };
  } catch (error) {
    return { check: check("rotation", "failed", refusalText(error)), rotations: [] };
  }
}

/** What came of reading an authorization. */
export interface AuthorizationFinding {
  readonly check: DomainCheck;
  readonly authorization?: ParsedAuthorization;
}

/** Where the key is another, its signature is not looked at. */
export const KEY_IS_ANOTHER: AuthorizationFinding = {
  check: check("authorization", "skipped", "not verified, since the domain key is another"),
};

/** The owner signed it, for this domain; and what it says. */
export function authorizationCheck(
  domain: string,
  { authorization, domainPublicKey }: Pick<DomainProof, "authorization" | "domainPublicKey">,
  options: ApiUrlOptions,
): AuthorizationFinding {
  if (authorization === undefined) {
    return { check: check("authorization", "failed", "the host shows no authorization by the owner") };
  }
  try {
    const parsed = verifyAuthorization(authorization, domainPublicKey, options);
    if (parsed.domain !== domain) {
      return {
        check: check(
          "authorization",
          "failed",
          `the authorization is for ${parsed.domain}, not for ${domain}`,
        ),
      };
    }
    return {
      check: check("authorization", "passed", `serial ${parsed.serial}, signed by the domain key`),
      authorization: parsed,
    };
  } catch (error) {
    return { check: check("authorization", "failed", refusalText(error)) };
  }
}

/** It is in date. */
export function datesCheck(authorization: ParsedAuthorization, now: number): DomainCheck {
  const [from, until] = [authorization.notBefore, authorization.notAfter].map(day);
  switch (authorizationStanding(authorization, now)) {
    case "in-date":
      return check("dates", "passed", `holds until ${until}`);
    case "not-yet":
      return check("dates", "failed", `the authorization holds from ${from} only: wait, or check the clocks`);
    case "expired":
      return check(
        "dates",
        "failed",
        `the authorization ended ${until}: renew it (keypears domain authorize)`,
      );
  }
}

/** Its serial is not below any that the owner asks for. */
export function serialCheck(
  domain: string,
  { minSerial = 0 }: DiscoveryDocumentV2,
  { serial }: ParsedAuthorization,
  txtMinSerial: number,
  rotations: readonly ParsedRotation[],
): DomainCheck {
  const bounds = [
    { from: `${DOCUMENT} at ${domain}`, min: minSerial },
    { from: `the TXT record at ${domainTxtName(domain)}`, min: txtMinSerial },
    { from: "the last change of the domain key", min: rotations.at(-1)?.serial ?? 0 },
  ];
  const broken = bounds.find(({ min }) => serial < min);
  if (broken === undefined) return check("serial", "passed", `${serial}`);
  const message = `the authorization has serial ${serial}, ${broken.from} asks for ${broken.min} or more: renew it`;
  return check("serial", "failed", message);
}

/** It names the node that answers. */
export function nodeKeyCheck(
  { nodePublicKeys }: ParsedAuthorization,
  shown: Exclude<Shown, NotHad>,
): DomainCheck {
  const nodePublicKey = shown.kind === "proof" ? shown.proof.nodePublicKey : shown.nodePublicKey;
  if (nodePublicKeys.some((key) => sameBytes(key, nodePublicKey))) {
    return check("node-key", "passed", `one of ${nodePublicKeys.length} that the authorization names`);
  }
  return check(
    "node-key",
    "failed",
    "the authorization does not name this node's key: renew it with that key",
  );
}

/** The node that answers has the key that it shows, and answered just now. */
export function proofCheck(
  { proof, nonce }: Extract<Shown, { kind: "proof" }>,
  authorization: ParsedAuthorization,
  now: number,
): DomainCheck {
  if (!verifyProofSignature(proof, authorization, nonce)) {
    return check("proof", "failed", "the host's signature does not verify: it has not the key that it shows");
  }
  const time = timeFromWire(proof.time);
  if (time === undefined || Math.abs(time - now) > DOMAIN_PROOF_CLOCK_SKEW_MS) {
    return check("proof", "failed", "the proof is dated more than 5 minutes from now: check the clocks");
  }
  return check("proof", "passed", "signed by the node key just now");
}

/** DNS does not contradict; whether a record bears the document out, and the least serial that it asks for. */
export function txtCheck(
  domain: string,
  { domainPubKeyHash }: DiscoveryDocumentV2,
  txt: TxtLookup,
): { readonly check: DomainCheck; readonly present: boolean; readonly minSerial: number } {
  const name = domainTxtName(domain);
  const none = { present: false, minSerial: 0 };
  if (txt.kind === "failed") return { ...none, check: notHad("dns", txt) };
  const { found, malformed } = readDomainTxt(txt.kind === "absent" ? [] : txt.records);
  if (found.length + malformed.length === 0) {
    return { ...none, check: check("dns", "passed", `no TXT record at ${name}, which is allowed`) };
  }
  const matching = found.filter(({ keyHash }) => keyHash === domainPubKeyHash);
  if (matching.length > 0) {
    // With several for one key the one that asks for least counts: one must match, not all of them.
    const minSerial = Math.min(...matching.map((record) => record.minSerial ?? 0));
    return { present: true, minSerial, check: check("dns", "passed", `${name} names the same domain key`) };
  }
  const problem = found.length > 0 ? `names the domain key ${found[0]?.keyHash}` : "cannot be read";
  const message = `the TXT record at ${name} ${problem}; ${DOCUMENT} names ${domainPubKeyHash}: mend one of them`;
  return { ...none, check: check("dns", "failed", message) };
}

/** One check, made. */
export function check(name: DomainCheckName, outcome: DomainCheck["outcome"], message: string): DomainCheck {
  return { name, outcome, message };
}

/** A check of something that could not be had. */
export function notHad(name: DomainCheckName, { retry, message }: NotHad): DomainCheck {
  return check(name, retry ? "retry" : "failed", message);
}

function refusalText(error: unknown): string {
  if (error instanceof ProtocolError) return error.message;
  throw error;
}

/** A day and time for people of all zones. */
export function day(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
