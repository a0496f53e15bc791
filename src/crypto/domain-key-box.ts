/**
 * The secret key of a domain as its owner keeps it (docs/protocol.md section 2.1): sealed under a password, stretched as that
 * of an account is, and bound to the domain and to the public key that stand beside it in the clear.
 */

import { concat, equalConstantTime, lp, wipe } from "./bytes.ts";
import { COMPOSITE_SECRET_KEY_LENGTH, composite } from "./composite.ts";
import { DERIVATION_CONTEXT, SEALING_LABEL } from "./contexts.ts";
import { CryptoError, requireLength } from "./errors.ts";
import { passwordKey } from "./password.ts";
import type { Argon2idParameters } from "./primitives.ts";
import { openBox, SEALED_BOX_OVERHEAD, sealBox } from "./sealed-box.ts";
import { primitives } from "./select.ts";

/** nonce ‖ secret key ‖ tag: 92 bytes. */
export const SEALED_DOMAIN_KEY_LENGTH = COMPOSITE_SECRET_KEY_LENGTH + SEALED_BOX_OVERHEAD;

/** Which key it is, and how its password is stretched. */
export interface DomainKeySlot {
  /** Canonical domain. */
  readonly domain: string;
  /** 1,984 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly salt: Uint8Array;
  readonly cost: Argon2idParameters;
}

/**
 * Seals a 64-byte secret domain key under a password: 92 bytes.
 *
 * @throws CryptoError `wrong-length`; `invalid-key` unless it is the secret key of the slot's public key; `out-of-range` for a
 *   password or a cost that is none.
 */
export async function sealDomainKey(
  password: string,
  secretKey: Uint8Array,
  slot: DomainKeySlot,
): Promise<Uint8Array> {
  requireLength("domain secret key", secretKey, COMPOSITE_SECRET_KEY_LENGTH);
  if (!belongTogether(secretKey, slot.publicKey)) {
    throw new CryptoError("invalid-key", "domain secret key is of another public key");
  }
  return withKey(password, slot, (key) => sealBox(key, secretKey, aadOf(slot)));
}

/**
 * The secret key of a sealed one. The caller wipes it.
 *
 * @throws CryptoError `decryption-failed` for another password, another slot, or a secret key of another public key.
 */
export async function openDomainKey(
  password: string,
  sealed: Uint8Array,
  slot: DomainKeySlot,
): Promise<Uint8Array> {
  requireLength("sealed domain key", sealed, SEALED_DOMAIN_KEY_LENGTH);
  const secretKey = await withKey(password, slot, (key) => openBox(key, sealed, aadOf(slot)));
  if (!belongTogether(secretKey, slot.publicKey)) {
    wipe(secretKey);
    throw new CryptoError("decryption-failed", "sealed domain key is of another public key");
  }
  return secretKey;
}

// A domain is never an address, so that no password key of an account is one of a domain key.
async function withKey<T>(
  password: string,
  { domain, salt, cost }: DomainKeySlot,
  use: (key: Uint8Array) => T,
): Promise<T> {
  const stretched = await passwordKey(password, domain, salt, cost);
  const key = primitives().blake3.deriveKey(DERIVATION_CONTEXT.domainKeyFile, stretched);
  try {
    return use(key);
  } finally {
    wipe(stretched, key);
  }
}

function belongTogether(secretKey: Uint8Array, publicKey: Uint8Array): boolean {
  return equalConstantTime(composite.publicKey(secretKey), publicKey);
}

function aadOf({ domain, publicKey }: DomainKeySlot): Uint8Array {
  return concat(lp(SEALING_LABEL.domainKey), lp(domain), primitives().blake3.hash(publicKey));
}
