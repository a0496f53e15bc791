/**
 * ML-KEM-768 (FIPS 203) through OpenSSL 3.5.
 */

import type { MlKem768 } from "../primitives.ts";
import {
  importPrivateKey,
  type NodeCrypto,
  type PublicKeyImporter,
  plain,
  rawPublicKey,
} from "./node-crypto.ts";

/** ML-KEM-768 on node:crypto. */
export function nativeMlKem768(crypto: NodeCrypto, importPublicKey: PublicKeyImporter): MlKem768 {
  return {
    publicKey: (seed) => rawPublicKey(crypto, "ml-kem-768", seed),
    encapsulate(publicKey) {
      const { ciphertext, sharedKey } = crypto.encapsulate(importPublicKey("ml-kem-768", publicKey));
      return { ciphertext: plain(ciphertext), sharedSecret: plain(sharedKey) };
    },
    decapsulate: (seed, ciphertext) =>
      plain(crypto.decapsulate(importPrivateKey(crypto, "ml-kem-768", seed), ciphertext)),
  };
}
