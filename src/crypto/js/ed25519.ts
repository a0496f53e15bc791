/**
 * Ed25519 in plain JavaScript. Verification is built from noble's point arithmetic: its own `verify` checks the
 * cofactored equation, with and without `zip215`, and so accepts torsion components that this protocol refuses.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equalConstantTime } from "../bytes.ts";
import { ED25519_PUBLIC_KEY_LENGTH, type Ed25519 } from "../primitives.ts";

const { Point } = ed25519;
const L = Point.Fn.ORDER; // order of the base point (RFC 8032 §5.1)

/** Ed25519 on noble. */
export const jsEd25519: Ed25519 = {
  publicKey: (seed) => ed25519.getPublicKey(seed),
  sign: (seed, message) => ed25519.sign(message, seed),
  verify(publicKey, message, signature) {
    const R = signature.subarray(0, ED25519_PUBLIC_KEY_LENGTH);
    const S = littleEndian(signature.subarray(ED25519_PUBLIC_KEY_LENGTH));
    if (S >= L) return false;
    const A = decodePoint(publicKey);
    if (A === null || A.isSmallOrder()) return false;
    const k = littleEndian(sha512(concat(R, publicKey, message))) % L;
    const expected = Point.BASE.multiplyUnsafe(S).subtract(A.multiplyUnsafe(k));
    return equalConstantTime(expected.toBytes(), R) && !expected.isSmallOrder();
  },
};

/** The point of a canonical encoding (RFC 8032 §5.1.3), else null. */
function decodePoint(encoded: Uint8Array): InstanceType<typeof Point> | null {
  try {
    return Point.fromBytes(encoded, false);
  } catch {
    return null;
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}
