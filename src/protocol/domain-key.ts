/**
 * Domain keys (docs/protocol.md, section 2.1): a composite key pair that the owner of a domain holds off every server, and
 * the hash by which the domain's discovery document and DNS record name it. Node keys are composite key pairs too.
 */

import { randomBytes } from "../crypto/bytes.ts";
import { COMPOSITE_PUBLIC_KEY_LENGTH, COMPOSITE_SECRET_KEY_LENGTH, composite } from "../crypto/composite.ts";
import { requireLength } from "../crypto/errors.ts";
import { primitives } from "../crypto/select.ts";

/** A composite key pair: of a domain, or of a node. */
export interface CompositeKeyPair {
  /** ML-DSA-65 seed ‖ Ed25519 seed, 64 bytes. Whoever holds it wipes it. */
  readonly secretKey: Uint8Array;
  /** 1,984 bytes. */
  readonly publicKey: Uint8Array;
}

/** A fresh composite key pair. */
export function generateCompositeKeyPair(): CompositeKeyPair {
  const secretKey = randomBytes(COMPOSITE_SECRET_KEY_LENGTH);
  return { secretKey, publicKey: composite.publicKey(secretKey) };
}

/**
 * The hash that names a domain key: BLAKE3 of its public key, 32 bytes. In `domainPubKeyHash` and TXT records it is written
 * in lower-case hex.
 *
 * @throws CryptoError `wrong-length` unless the key is 1,984 bytes.
 */
export function domainKeyHash(publicKey: Uint8Array): Uint8Array {
  requireLength("domain public key", publicKey, COMPOSITE_PUBLIC_KEY_LENGTH);
  return primitives().blake3.hash(publicKey);
}
