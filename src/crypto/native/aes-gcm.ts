/**
 * AES-256-GCM (NIST SP 800-38D) through OpenSSL.
 */

import { concat } from "../bytes.ts";
import { CryptoError } from "../errors.ts";
import { AES_256_GCM_TAG_LENGTH, type Aes256Gcm } from "../primitives.ts";
import type { NodeCrypto } from "./node-crypto.ts";

const CIPHER = "aes-256-gcm";
const OPTIONS = { authTagLength: AES_256_GCM_TAG_LENGTH };
const EMPTY = new Uint8Array(0);

/** AES-256-GCM on node:crypto. */
export function nativeAes256Gcm(crypto: NodeCrypto): Aes256Gcm {
  return {
    seal(key, nonce, plaintext, aad = EMPTY) {
      const cipher = crypto.createCipheriv(CIPHER, key, nonce, OPTIONS);
      cipher.setAAD(aad);
      const head = cipher.update(plaintext);
      return concat(head, cipher.final(), cipher.getAuthTag());
    },
    open(key, nonce, sealed, aad = EMPTY) {
      const tagStart = sealed.length - AES_256_GCM_TAG_LENGTH;
      const decipher = crypto.createDecipheriv(CIPHER, key, nonce, OPTIONS);
      decipher.setAAD(aad);
      decipher.setAuthTag(sealed.subarray(tagStart));
      const head = decipher.update(sealed.subarray(0, tagStart));
      try {
        return concat(head, decipher.final());
      } catch {
        throw new CryptoError("decryption-failed", "ciphertext does not authenticate");
      } finally {
        head.fill(0);
      }
    },
  };
}
