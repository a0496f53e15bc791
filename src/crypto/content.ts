/**
 * The content of a share: padded, and sealed under a fresh content key with the envelope's header as associated data
 * (docs/protocol.md section 6.2). The commitment binds the ciphertext to one key, which AES-GCM alone does not.
 */

import { equalConstantTime, randomBytes, wipe } from "./bytes.ts";
import { DERIVATION_CONTEXT } from "./contexts.ts";
import { CryptoError } from "./errors.ts";
import { pad, unpad } from "./padding.ts";
import { AES_256_GCM_KEY_LENGTH, AES_256_GCM_NONCE_LENGTH, BLAKE3_LENGTH } from "./primitives.ts";
import { primitives } from "./select.ts";

export const CONTENT_KEY_LENGTH = AES_256_GCM_KEY_LENGTH;
export const CONTENT_NONCE_LENGTH = AES_256_GCM_NONCE_LENGTH;
export const CONTENT_KEY_COMMITMENT_LENGTH = BLAKE3_LENGTH;

/** A fresh content key, 32 random bytes. It seals one payload and is then wrapped for those who may read it. */
export function generateContentKey(): Uint8Array<ArrayBuffer> {
  return randomBytes(CONTENT_KEY_LENGTH);
}

/** The 32-byte commitment to a content key that travels in the header. */
export function contentKeyCommitment(contentKey: Uint8Array): Uint8Array {
  return primitives().blake3.deriveKey(DERIVATION_CONTEXT.contentKeyCommitment, contentKey);
}

/** Whether a commitment is the one to this content key. */
export function matchesContentKeyCommitment(contentKey: Uint8Array, commitment: Uint8Array): boolean {
  return equalConstantTime(contentKeyCommitment(contentKey), commitment);
}

/**
 * The padded payload, sealed.
 *
 * @param contentKey 32 bytes, used for nothing else.
 * @param nonce 12 bytes.
 * @param header the encoded envelope header, which is authenticated but not encrypted.
 */
export function sealContent(
  contentKey: Uint8Array,
  nonce: Uint8Array,
  payload: Uint8Array,
  header: Uint8Array,
): Uint8Array {
  const padded = pad(payload);
  try {
    return primitives().aes256Gcm.seal(contentKey, nonce, padded, header);
  } finally {
    wipe(padded);
  }
}

/**
 * The payload that `sealContent` sealed.
 *
 * @throws CryptoError `decryption-failed` for anything that does not authenticate or is not padded as it must be;
 * `wrong-length` for the key or the nonce.
 */
export function openContent(
  contentKey: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  header: Uint8Array,
): Uint8Array {
  const padded = primitives().aes256Gcm.open(contentKey, nonce, ciphertext, header);
  try {
    return unpad(padded);
  } catch {
    throw new CryptoError("decryption-failed", "content is not padded as it must be");
  } finally {
    wipe(padded);
  }
}
