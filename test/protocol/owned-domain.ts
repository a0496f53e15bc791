// What the tests of domains share: an owner with a domain key, a host with a node key, and consents between them.

import type { DomainAuthorization } from "../../gen/keypears/v1/domain_pb.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import { type AuthorizationTerms, buildAuthorization } from "../../src/protocol/domain-authorization.ts";
import type { DomainEvidence } from "../../src/protocol/domain-check.ts";
import {
  type CompositeKeyPair,
  domainKeyHash,
  generateCompositeKeyPair,
} from "../../src/protocol/domain-key.ts";
import { buildDomainProof, type HostedConsent } from "../../src/protocol/domain-proof.ts";
import { formatDomainTxt } from "../../src/protocol/domain-txt.ts";

export const DOMAIN = "acme.example";
export const API_URL = "https://host.example/api";
export const NOW = 1_767_225_600_000;
export const DAY = 86_400_000;

export const owner = generateCompositeKeyPair();
export const host = generateCompositeKeyPair();
export const rogue = generateCompositeKeyPair();

export function hashOf({ publicKey }: CompositeKeyPair): string {
  return toHex(domainKeyHash(publicKey));
}

export function terms(change: Partial<AuthorizationTerms> = {}): AuthorizationTerms {
  return {
    domain: DOMAIN,
    apiUrl: API_URL,
    nodePublicKeys: [host.publicKey],
    serial: 7,
    notBefore: NOW - DAY,
    notAfter: NOW + 30 * DAY,
    ...change,
  };
}

export function authorized(
  change: Partial<AuthorizationTerms> = {},
  by: CompositeKeyPair = owner,
): DomainAuthorization {
  return buildAuthorization(terms(change), by.secretKey);
}

export function consent(change: Partial<HostedConsent> = {}): HostedConsent {
  return { domainPublicKey: owner.publicKey, authorization: authorized(), ...change };
}

/** A document of version 2, a matching record, and a host that proves itself with `given`. */
export function evidence(
  given: HostedConsent = consent(),
  change: {
    readonly keyHash?: string;
    readonly minSerial?: number;
    readonly txt?: DomainEvidence["txt"];
    readonly apiUrl?: string;
    readonly shown?: NonNullable<DomainEvidence["shown"]>;
    readonly domain?: string;
  } = {},
): DomainEvidence {
  const nonce = randomBytes(32);
  const { keyHash = hashOf({ ...owner, publicKey: given.domainPublicKey }), minSerial } = change;
  return {
    domain: change.domain ?? DOMAIN,
    document: {
      kind: "found",
      document: {
        version: 2,
        apiUrl: parseApiUrl(change.apiUrl ?? API_URL),
        domainPubKeyHash: keyHash,
        ...(minSerial !== undefined && { minSerial }),
      },
    },
    txt: change.txt ?? { kind: "found", records: [[formatDomainTxt({ keyHash })]] },
    shown: change.shown ?? { kind: "proof", proof: buildDomainProof(given, host, nonce, NOW), nonce },
  };
}
