/**
 * Claims (docs/protocol.md, section 2.1): the owner's word to one node that one of its accounts is to administer the domain
 * there. It names the node's key and the node's own nonce, so that it means nothing to any other node, and nothing twice.
 */

import { concat, lp, u64 } from "../crypto/bytes.ts";
import { COMPOSITE_PUBLIC_KEY_LENGTH, composite } from "../crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { requireLength } from "../crypto/errors.ts";
import { primitives } from "../crypto/select.ts";
import { ProtocolError } from "./errors.ts";

/** Length of a claim's nonce, in bytes. */
export const DOMAIN_CLAIM_NONCE_LENGTH = 32;

/** What a claim is about. */
export interface DomainClaim {
  /** Canonical domain. */
  readonly domain: string;
  /** The node's canonical API URL. */
  readonly apiUrl: string;
  /** The node's public key, 1,984 bytes. */
  readonly nodePublicKey: Uint8Array;
  /** Canonical address. */
  readonly administrator: string;
  /** 32 bytes that the node drew. */
  readonly nonce: Uint8Array;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/**
 * The bytes that a claim's signature is over:
 * `lp(domain) || lp(api_url) || BLAKE3(node public key) || lp(administrator) || nonce || u64(expires_at)`.
 *
 * @throws CryptoError `wrong-length`.
 */
export function domainClaimMessage(claim: DomainClaim): Uint8Array {
  requireLength("node public key", claim.nodePublicKey, COMPOSITE_PUBLIC_KEY_LENGTH);
  requireLength("nonce", claim.nonce, DOMAIN_CLAIM_NONCE_LENGTH);
  return concat(
    lp(claim.domain),
    lp(claim.apiUrl),
    primitives().blake3.hash(claim.nodePublicKey),
    lp(claim.administrator),
    claim.nonce,
    u64(claim.expiresAt),
  );
}

/** Signs a claim with the 64-byte secret domain key: 3,373 bytes. */
export function signDomainClaim(claim: DomainClaim, domainSecretKey: Uint8Array): Uint8Array {
  return composite.sign(domainSecretKey, domainClaimMessage(claim), SIGNATURE_CONTEXT.domainClaim);
}

/**
 * Verifies a claim's signature by the domain public key.
 *
 * @throws ProtocolError DOMAIN_CLAIM_INVALID.
 */
export function verifyDomainClaim(
  claim: DomainClaim,
  domainPublicKey: Uint8Array,
  signature: Uint8Array,
): void {
  const message = domainClaimMessage(claim);
  if (!composite.verify(domainPublicKey, message, signature, SIGNATURE_CONTEXT.domainClaim)) {
    throw new ProtocolError(
      "DOMAIN_CLAIM_INVALID",
      "claim: signature does not verify by the domain key for this node, administrator and challenge",
      { field: "signature" },
    );
  }
}
