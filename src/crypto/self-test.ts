/**
 * A known-answer test that is cheap enough to run at every start (a few milliseconds cold): the functions that an
 * engine may lack or that are not plain JavaScript, on fixed inputs, folded into one hash. It tells whether the
 * native tier is there and computes right; the standards' own vectors are the test suite's business.
 */

import { concat, equalConstantTime, fromHex, utf8 } from "./bytes.ts";
import type { Primitives } from "./primitives.ts";

/** SHA-256 over the outputs below. All tiers agree on it. */
const EXPECTED = fromHex("b4b2e6766da32949a40ade8e5b7f6e522e419a2188974a8e73d649f2240d1a48");

/** Whether the tier gives the known answers. An engine that lacks an algorithm makes it throw, which counts as no. */
export function passesSelfTest(tier: Primitives): boolean {
  try {
    return equalConstantTime(fingerprint(tier), EXPECTED);
  } catch {
    return false;
  }
}

function fingerprint({
  ed25519,
  x25519,
  mlDsa65,
  mlKem768,
  aes256Gcm,
  blake3,
  hkdfSha256,
  sha256,
}: Primitives) {
  const text = utf8("keypears self-test");
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  const outputs = [
    ed25519.publicKey(key),
    x25519.publicKey(key),
    mlDsa65.publicKey(key),
    mlKem768.publicKey(concat(key, key)),
    aes256Gcm.seal(key, new Uint8Array(12), text, text),
    blake3.hash(text),
    blake3.hasher().update(text).digest(64),
    hkdfSha256(key, text, text, 32),
  ];
  return sha256(concat(...outputs));
}
