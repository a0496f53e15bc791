/**
 * ML-DSA-65 (FIPS 204) in plain JavaScript. noble hedges signatures unless told otherwise.
 */

import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import { wipe } from "../bytes.ts";
import type { MlDsa65 } from "../primitives.ts";

/** ML-DSA-65 on noble. */
export const jsMlDsa65: MlDsa65 = {
  publicKey(seed) {
    const { publicKey, secretKey } = ml_dsa65.keygen(seed);
    wipe(secretKey);
    return publicKey;
  },
  sign(seed, message, context) {
    const { secretKey } = ml_dsa65.keygen(seed);
    try {
      return ml_dsa65.sign(message, secretKey, withContext(context));
    } finally {
      wipe(secretKey);
    }
  },
  verify: (publicKey, message, signature, context) =>
    ml_dsa65.verify(signature, message, publicKey, withContext(context)),
};

function withContext(context: Uint8Array | undefined): { context?: Uint8Array } {
  return context === undefined ? {} : { context };
}
