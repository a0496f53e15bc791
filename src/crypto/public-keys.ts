/**
 * Which public keys may be published and encrypted to (docs/protocol.md section 3.1). Signing keys need no such check:
 * a bad one only makes its own signatures fail.
 */

import { isMlKem768PublicKey } from "./ml-kem-key.ts";
import { X25519_PUBLIC_KEY_LENGTH, X25519_SECRET_LENGTH } from "./primitives.ts";
import { primitives } from "./select.ts";

export { isMlKem768PublicKey };

// Every clamped scalar is a multiple of the cofactor 8 and so sends each point of small order to zero: any one will do.
const ANY_SECRET = new Uint8Array(X25519_SECRET_LENGTH);

/** Whether `key` is 32 bytes and not a point of small order, which would make every shared secret zero (RFC 7748 §6.1). */
export function isX25519PublicKey(key: Uint8Array): boolean {
  if (key.length !== X25519_PUBLIC_KEY_LENGTH) return false;
  try {
    primitives().x25519.sharedSecret(ANY_SECRET, key);
    return true;
  } catch {
    return false;
  }
}
