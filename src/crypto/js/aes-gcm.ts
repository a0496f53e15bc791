/**
 * AES-256-GCM (NIST SP 800-38D) in plain JavaScript. Web Crypto would be faster in a browser, but is asynchronous.
 */

import { gcm } from "@noble/ciphers/aes.js";
import { CryptoError } from "../errors.ts";
import type { Aes256Gcm } from "../primitives.ts";

/** AES-256-GCM on noble. */
export const jsAes256Gcm: Aes256Gcm = {
  seal: (key, nonce, plaintext, aad) => gcm(key, nonce, aad).encrypt(plaintext),
  open(key, nonce, sealed, aad) {
    try {
      return gcm(key, nonce, aad).decrypt(sealed);
    } catch {
      throw new CryptoError("decryption-failed", "ciphertext does not authenticate");
    }
  },
};
