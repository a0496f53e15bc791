/**
 * Ed25519 through OpenSSL, with the checks that it leaves out or that depend on the release of Node. OpenSSL refuses
 * S ≥ L itself, and compares the encoding of [S]B − [k]A with the bytes of R, so a non-canonical R never matches. A
 * non-canonical A, and points of small order, are refused here.
 */

import { fromHex } from "../bytes.ts";
import { ED25519_PUBLIC_KEY_LENGTH, type Ed25519 } from "../primitives.ts";
import {
  importPrivateKey,
  type NodeCrypto,
  type PublicKeyImporter,
  plain,
  rawPublicKey,
  verifyInThreadPool,
} from "./node-crypto.ts";

const SIGN_BIT = 0x80; // of the last byte: the sign of x (RFC 8032 §5.1.2)

// y of the eight points of small order on edwards25519, little-endian, sign bit clear: orders 1, 2, 4, 8 and 8.
// Either sign of x gives a point of small order, or no canonical encoding at all.
const SMALL_ORDER_Y = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(fromHex);

/** Ed25519 on node:crypto. */
export function nativeEd25519(crypto: NodeCrypto, importPublicKey: PublicKeyImporter): Ed25519 {
  return {
    publicKey: (seed) => rawPublicKey(crypto, "ed25519", seed),
    sign: (seed, message) => plain(crypto.sign(null, message, importPrivateKey(crypto, "ed25519", seed))),
    verify(publicKey, message, signature) {
      if (!isStrict(publicKey, signature)) return false;
      return crypto.verify(null, message, importPublicKey("ed25519", publicKey), signature);
    },
    async verifyAside(publicKey, message, signature) {
      if (!isStrict(publicKey, signature)) return false;
      return verifyInThreadPool(crypto, message, importPublicKey("ed25519", publicKey), signature);
    },
  };
}

/** What OpenSSL leaves out: A is canonical, and neither A nor R is of small order. */
function isStrict(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return isCanonicalY(publicKey) && !isSmallOrder(publicKey) && !isSmallOrder(signature);
}

/** Whether y < p = 2^255 − 19; p and the 18 values above it are 0xed … 0xff, then 0xff throughout, then 0x7f. */
function isCanonicalY(publicKey: Uint8Array): boolean {
  if (((publicKey[ED25519_PUBLIC_KEY_LENGTH - 1] as number) | SIGN_BIT) !== 0xff) return true;
  for (let i = ED25519_PUBLIC_KEY_LENGTH - 2; i > 0; i--) if (publicKey[i] !== 0xff) return true;
  return (publicKey[0] as number) < 0xed;
}

/** Whether the first 32 bytes spell a point of small order. */
function isSmallOrder(encoded: Uint8Array): boolean {
  const last = ED25519_PUBLIC_KEY_LENGTH - 1;
  const lastOfY = (encoded[last] as number) & ~SIGN_BIT;
  return SMALL_ORDER_Y.some((y) => y.every((byte, i) => byte === (i === last ? lastOfY : encoded[i])));
}
