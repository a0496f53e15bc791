/**
 * The native tier: OpenSSL through node:crypto, for everything but BLAKE3. It exists where node:crypto takes raw
 * keys of all four algorithms and has Argon2, which is Node 24 with OpenSSL 3.5; elsewhere there is none.
 */

import type { Primitives } from "../primitives.ts";
import { nativeAes256Gcm } from "./aes-gcm.ts";
import { nativeBlake3 } from "./blake3.ts";
import { nativeEd25519 } from "./ed25519.ts";
import { nativeHashes } from "./hashes.ts";
import { nativeMlDsa65 } from "./ml-dsa.ts";
import { nativeMlKem768 } from "./ml-kem.ts";
import { createPublicKeyImporter, findNodeCrypto } from "./node-crypto.ts";
import { nativeX25519 } from "./x25519.ts";

/** The tier, or null where node:crypto is missing or has no Argon2. The rest of what it has is for a self-test to say. */
export async function createNativeTier(): Promise<Primitives | null> {
  const crypto = findNodeCrypto();
  if (typeof crypto?.argon2 !== "function") return null;
  const importPublicKey = createPublicKeyImporter(crypto);
  return {
    tier: "native",
    ed25519: nativeEd25519(crypto, importPublicKey),
    x25519: nativeX25519(crypto),
    mlDsa65: nativeMlDsa65(crypto, importPublicKey),
    mlKem768: nativeMlKem768(crypto, importPublicKey),
    aes256Gcm: nativeAes256Gcm(crypto),
    blake3: await nativeBlake3(),
    ...nativeHashes(crypto),
  };
}
