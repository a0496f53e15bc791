/**
 * X25519 in plain JavaScript. noble refuses an all-zero shared secret itself (RFC 7748 §6.1).
 */

import { x25519 } from "@noble/curves/ed25519.js";
import { CryptoError } from "../errors.ts";
import type { X25519 } from "../primitives.ts";

/** X25519 on noble. */
export const jsX25519: X25519 = {
  publicKey: (secret) => x25519.getPublicKey(secret),
  sharedSecret(secret, publicKey) {
    try {
      return x25519.getSharedSecret(secret, publicKey);
    } catch {
      throw new CryptoError("invalid-key", "x25519 public key gives an all-zero secret");
    }
  },
};
