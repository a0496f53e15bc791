/**
 * X25519 through OpenSSL, which refuses an all-zero shared secret itself (RFC 7748 §6.1).
 */

import { CryptoError } from "../errors.ts";
import type { X25519 } from "../primitives.ts";
import { importPrivateKey, type NodeCrypto, plain, rawPublicKey } from "./node-crypto.ts";

/** X25519 on node:crypto. Peers' keys are mostly ephemeral, so they go past the cache of public keys. */
export function nativeX25519(crypto: NodeCrypto): X25519 {
  return {
    publicKey: (secret) => rawPublicKey(crypto, "x25519", secret),
    sharedSecret(secret, publicKey) {
      const privateKey = importPrivateKey(crypto, "x25519", secret);
      const peerKey = crypto.createPublicKey({
        key: publicKey as Buffer,
        format: "raw-public",
        asymmetricKeyType: "x25519",
      });
      try {
        return plain(crypto.diffieHellman({ privateKey, publicKey: peerKey }));
      } catch {
        throw new CryptoError("invalid-key", "x25519 public key gives an all-zero secret");
      }
    },
  };
}
