/**
 * The check that FIPS 203 §7.2 demands of an ML-KEM-768 encapsulation key before it is used. It stands apart from the
 * tiers so that both refuse the same keys, and so that a node can refuse to publish one.
 */

import { ML_KEM_768_PUBLIC_KEY_LENGTH } from "./primitives.ts";

const Q = 3329; // FIPS 203 §2.4: the modulus
const RHO_LENGTH = 32; // the public matrix seed behind the encoded polynomials, any value

/**
 * Whether `key` is an ML-KEM-768 encapsulation key: 1,184 bytes, and every 12-bit coefficient below q (the "modulus
 * check", equivalent to ByteEncode12(ByteDecode12(key)) = key).
 */
export function isMlKem768PublicKey(key: Uint8Array): boolean {
  if (key.length !== ML_KEM_768_PUBLIC_KEY_LENGTH) return false;
  for (let i = 0; i < key.length - RHO_LENGTH; i += 3) {
    const low = key[i] as number;
    const middle = key[i + 1] as number;
    const high = key[i + 2] as number;
    if ((low | ((middle & 0x0f) << 8)) >= Q || ((middle >> 4) | (high << 4)) >= Q) return false;
  }
  return true;
}
