/** What the tests of this folder share: a way to damage bytes, and to ask why something was refused. */

import { CryptoError, type CryptoErrorReason } from "../../src/crypto/errors.ts";

/** A copy with one bit changed, counted from the first byte's lowest and wrapping around. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  const at = bit % (8 * bytes.length);
  copy[at >> 3] = (copy[at >> 3] as number) ^ (1 << (at & 7));
  return copy;
}

/** The reason of the CryptoError that a call throws, or "none". Other errors are not caught. */
export function reasonOf(call: () => unknown): CryptoErrorReason | "none" {
  try {
    call();
  } catch (error) {
    if (error instanceof CryptoError) return error.reason;
    throw error;
  }
  return "none";
}
