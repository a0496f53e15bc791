/**
 * Nonces that a node gives to those who claim a domain (docs/protocol.md section 2.1). Authenticated instead of stored:
 * whoever holds the cluster's secret recognises its own, for the same domain, administrator and time.
 *
 *     nonce = 16 random bytes ‖ first 16 bytes of BLAKE3-keyed(secret, lp("domain-claim") ‖ u64(expires) ‖ random ‖
 *             lp(domain) ‖ lp(administrator))
 */

import { concat, equalConstantTime, lp, randomBytes, u64 } from "./bytes.ts";
import { primitives } from "./select.ts";

/** What a nonce is good for. */
export interface ClaimNonceTerms {
  /** Canonical domain. */
  readonly domain: string;
  /** Canonical address. */
  readonly administrator: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const RANDOM_LENGTH = 16;
const MAC_LENGTH = 16;
// The MACs of creation challenges are under the same secret; none of those begins like this.
const LABEL = "domain-claim";

/** A new nonce, 32 bytes. `secret`: 32 bytes, the same on every node of a cluster. */
export function buildClaimNonce(secret: Uint8Array, terms: ClaimNonceTerms): Uint8Array {
  const random = randomBytes(RANDOM_LENGTH);
  return concat(random, macOf(secret, random, terms));
}

/** Whether a nonce was made under `secret` for exactly these terms. That it is in time and unspent is for the caller to see to. */
export function isClaimNonce(secret: Uint8Array, nonce: Uint8Array, terms: ClaimNonceTerms): boolean {
  const random = nonce.subarray(0, RANDOM_LENGTH);
  return equalConstantTime(nonce.subarray(RANDOM_LENGTH), macOf(secret, random, terms));
}

function macOf(
  secret: Uint8Array,
  random: Uint8Array,
  { domain, administrator, expiresAt }: ClaimNonceTerms,
): Uint8Array {
  const fields = concat(lp(LABEL), u64(expiresAt), random, lp(domain), lp(administrator));
  return primitives().blake3.keyed(secret, fields).subarray(0, MAC_LENGTH);
}
