/**
 * The JavaScript tier: noble for everything. It runs in every engine with BigInt, and is the second opinion in tests.
 */

import type { Primitives } from "../primitives.ts";
import { jsAes256Gcm } from "./aes-gcm.ts";
import { jsBlake3 } from "./blake3.ts";
import { jsEd25519 } from "./ed25519.ts";
import { jsHashes } from "./hashes.ts";
import { jsMlDsa65 } from "./ml-dsa.ts";
import { jsMlKem768 } from "./ml-kem.ts";
import { jsX25519 } from "./x25519.ts";

/** The tier; it exists everywhere. */
export const jsTier: Primitives = {
  tier: "js",
  ed25519: jsEd25519,
  x25519: jsX25519,
  mlDsa65: jsMlDsa65,
  mlKem768: jsMlKem768,
  aes256Gcm: jsAes256Gcm,
  blake3: jsBlake3,
  ...jsHashes,
};
