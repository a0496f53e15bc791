/**
 * A known-answer test that is cheap enough to run at every start (about a millisecond): all deterministic functions
 * on fixed inputs, folded into one hash. It tells whether an engine has a tier's algorithms and computes them right;
 * the standards' own vectors are the test suite's business.
 */

import { concat, equalConstantTime, fromHex, utf8 } from "./bytes.ts";
import type { Primitives } from "./primitives.ts";

// SHA-256 over the outputs below. All tiers agree on it, and each output's algorithm is tested against its standard.
const EXPECTED = fromHex("1d12f4ef2ad23dda966ec60ca1351db90b4b270380b177907e3a027581bf4fe9");

const ARGON2_MINIMUM = { memoryKiB: 8, passes: 1, lanes: 1 };

/** Whether the tier gives the known answers. An engine that lacks an algorithm makes it throw, which counts as no. */
export async function passesSelfTest(tier: Primitives): Promise<boolean> {
  try {
    return equalConstantTime(await fingerprint(tier), EXPECTED);
  } catch {
    return false;
  }
}

async function fingerprint(tier: Primitives): Promise<Uint8Array> {
  const { ed25519, x25519, mlDsa65, mlKem768, aes256Gcm, blake3 } = tier;
  const text = utf8("keypears self-test");
  const key = Uint8Array.from({ length: 32 }, (_, i) => i);
  const edPublicKey = ed25519.publicKey(key);
  const signature = ed25519.sign(key, text);
  const outputs = [
    edPublicKey,
    signature,
    Uint8Array.of(ed25519.verify(edPublicKey, text, signature) ? 1 : 0),
    x25519.sharedSecret(key, x25519.publicKey(key)),
    mlDsa65.publicKey(key),
    mlKem768.publicKey(concat(key, key)),
    aes256Gcm.seal(key, new Uint8Array(12), text, text),
    blake3.hash(text),
    blake3.keyed(key, text),
    blake3.deriveKey("keypears self-test", text),
    blake3.hasher().update(text).digest(64),
    tier.hkdfSha256(key, text, text, 32),
    tier.sha512(text),
    await tier.argon2id(text, key, ARGON2_MINIMUM, 32),
  ];
  return tier.sha256(concat(...outputs));
}
