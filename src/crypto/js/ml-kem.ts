/**
 * ML-KEM-768 (FIPS 203) in plain JavaScript.
 */

import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { wipe } from "../bytes.ts";
import type { MlKem768 } from "../primitives.ts";

/** ML-KEM-768 on noble. */
export const jsMlKem768: MlKem768 = {
  publicKey(seed) {
    const { publicKey, secretKey } = ml_kem768.keygen(seed);
    wipe(secretKey);
    return publicKey;
  },
  encapsulate(publicKey) {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey);
    return { ciphertext: cipherText, sharedSecret };
  },
  decapsulate(seed, ciphertext) {
    const { secretKey } = ml_kem768.keygen(seed);
    try {
      return ml_kem768.decapsulate(ciphertext, secretKey);
    } finally {
      wipe(secretKey);
    }
  },
};
