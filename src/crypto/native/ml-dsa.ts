/**
 * ML-DSA-65 (FIPS 204) through OpenSSL 3.5, whose signing is hedged.
 */

import type { MlDsa65 } from "../primitives.ts";
import {
  importPrivateKey,
  type NodeCrypto,
  type PublicKeyImporter,
  plain,
  rawPublicKey,
  verifyInThreadPool,
} from "./node-crypto.ts";

/** ML-DSA-65 on node:crypto. */
export function nativeMlDsa65(crypto: NodeCrypto, importPublicKey: PublicKeyImporter): MlDsa65 {
  return {
    publicKey: (seed) => rawPublicKey(crypto, "ml-dsa-65", seed),
    sign(seed, message, context) {
      const key = importPrivateKey(crypto, "ml-dsa-65", seed);
      return plain(crypto.sign(null, message, { key, ...withContext(context) }));
    },
    verify(publicKey, message, signature, context) {
      const key = importPublicKey("ml-dsa-65", publicKey);
      return crypto.verify(null, message, { key, ...withContext(context) }, signature);
    },
    async verifyAside(publicKey, message, signature, context) {
      const key = importPublicKey("ml-dsa-65", publicKey);
      return verifyInThreadPool(crypto, message, { key, ...withContext(context) }, signature);
    },
  };
}

function withContext(context: Uint8Array | undefined): { context?: Uint8Array } {
  return context === undefined || context.length === 0 ? {} : { context };
}
