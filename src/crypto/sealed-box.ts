/**
 * The one way in which things are sealed at rest: AES-256-GCM under a long-lived key, a random 12-byte nonce in front,
 * the 16-byte tag behind, and associated data that says what and whose it is. Seeds, account keys and contacts are
 * stored so (docs/protocol.md section 5).
 */

import { concat, randomBytes } from "./bytes.ts";
import { CryptoError } from "./errors.ts";
import { AES_256_GCM_NONCE_LENGTH, AES_256_GCM_TAG_LENGTH } from "./primitives.ts";
import { primitives } from "./select.ts";

/** By how many bytes a box is longer than what it holds. */
export const SEALED_BOX_OVERHEAD = AES_256_GCM_NONCE_LENGTH + AES_256_GCM_TAG_LENGTH;

/**
 * nonce ‖ ciphertext ‖ tag. Random nonces are safe for 2^32 boxes under one key (NIST SP 800-38D §8.3), far more than
 * one account seals.
 *
 * @param key 32 bytes.
 */
export function sealBox(key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(AES_256_GCM_NONCE_LENGTH);
  return concat(nonce, primitives().aes256Gcm.seal(key, nonce, plaintext, aad));
}

/**
 * What `sealBox` sealed.
 *
 * @throws CryptoError `decryption-failed` when key, associated data or any bit of the box is not as it was, or the box
 * is too short to be one; `wrong-length` for the key.
 */
export function openBox(key: Uint8Array, box: Uint8Array, aad: Uint8Array): Uint8Array {
  if (box.length < SEALED_BOX_OVERHEAD) {
    throw new CryptoError("decryption-failed", "sealed box is too short");
  }
  const nonce = box.subarray(0, AES_256_GCM_NONCE_LENGTH);
  return primitives().aes256Gcm.open(key, nonce, box.subarray(AES_256_GCM_NONCE_LENGTH), aad);
}
