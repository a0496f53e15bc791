/**
 * The account key, 32 random bytes on which everything of an account hangs (docs/protocol.md section 5): its subkeys,
 * its wraps (one per way in), and the private seeds and contacts sealed under it.
 */

import { concat, lp, randomBytes, u32, wipe } from "./bytes.ts";
import { DERIVATION_CONTEXT, SEALING_LABEL } from "./contexts.ts";
import { requireLength } from "./errors.ts";
import {
  ED25519_SEED_LENGTH,
  ML_DSA_65_SEED_LENGTH,
  ML_KEM_768_SEED_LENGTH,
  X25519_SECRET_LENGTH,
} from "./primitives.ts";
import { openBox, SEALED_BOX_OVERHEAD, sealBox } from "./sealed-box.ts";
import { primitives } from "./select.ts";

export const ACCOUNT_KEY_LENGTH = 32;
/** nonce ‖ account key ‖ tag: 60 bytes. */
export const WRAPPED_ACCOUNT_KEY_LENGTH = ACCOUNT_KEY_LENGTH + SEALED_BOX_OVERHEAD;

/** Ways into an account; each has a wrap of the account key and a login key of its own. */
export type AccountKeyWrapKind = "password" | "recovery" | "machine" | "emergency";

/** Algorithms of a key set, by the names that are authenticated with each sealed seed. */
export type SeedAlgorithm = "ed25519" | "x25519" | "ml-dsa-65" | "ml-kem-768";

/** Length of each algorithm's seed in bytes. */
export const SEED_LENGTH: Readonly<Record<SeedAlgorithm, number>> = {
  ed25519: ED25519_SEED_LENGTH,
  x25519: X25519_SECRET_LENGTH,
  "ml-dsa-65": ML_DSA_65_SEED_LENGTH,
  "ml-kem-768": ML_KEM_768_SEED_LENGTH,
};

/** Which wrap of which account it is. */
export interface AccountKeyWrapSlot {
  /** Canonical address. */
  address: string;
  kind: AccountKeyWrapKind;
  /** Number of the wrap within its kind, a uint32. */
  number: number;
}

/** Which private key it is. */
export interface SeedSlot {
  algorithm: SeedAlgorithm;
  /** Canonical address. */
  address: string;
  /** Number of the key set. */
  number: number;
}

/** A fresh account key. */
export function generateAccountKey(): Uint8Array<ArrayBuffer> {
  return randomBytes(ACCOUNT_KEY_LENGTH);
}

/**
 * Wraps the account key under a wrapping key: 60 bytes.
 *
 * @throws CryptoError `wrong-length`.
 */
export function wrapAccountKey(
  wrappingKey: Uint8Array,
  accountKey: Uint8Array,
  slot: AccountKeyWrapSlot,
): Uint8Array<ArrayBuffer> {
  requireLength("account key", accountKey, ACCOUNT_KEY_LENGTH);
  return sealBox(wrappingKey, accountKey, accountKeyAad(slot));
}

/**
 * The account key of a wrap.
 *
 * @throws CryptoError `decryption-failed` for another wrapping key or slot; `wrong-length`.
 */
export function unwrapAccountKey(
  wrappingKey: Uint8Array,
  wrapped: Uint8Array,
  slot: AccountKeyWrapSlot,
): Uint8Array {
  requireLength("wrapped account key", wrapped, WRAPPED_ACCOUNT_KEY_LENGTH);
  return openBox(wrappingKey, wrapped, accountKeyAad(slot));
}

/**
 * Seals a private seed under the account key.
 *
 * @throws CryptoError `wrong-length` for a seed that is none of its algorithm.
 */
export function sealSeed(accountKey: Uint8Array, seed: Uint8Array, slot: SeedSlot): Uint8Array<ArrayBuffer> {
  requireLength(`${slot.algorithm} seed`, seed, SEED_LENGTH[slot.algorithm]);
  return withSubkey(accountKey, DERIVATION_CONTEXT.privateKeys, (key) => sealBox(key, seed, seedAad(slot)));
}

/**
 * The seed of a sealed one.
 *
 * @throws CryptoError `decryption-failed` for another account key or slot; `wrong-length`.
 */
export function openSeed(accountKey: Uint8Array, sealed: Uint8Array, slot: SeedSlot): Uint8Array {
  requireLength(`sealed ${slot.algorithm} seed`, sealed, SEED_LENGTH[slot.algorithm] + SEALED_BOX_OVERHEAD);
  return withSubkey(accountKey, DERIVATION_CONTEXT.privateKeys, (key) => openBox(key, sealed, seedAad(slot)));
}

/** Seals an account's contacts and pins, in whatever encoding, under the account key. */
export function sealContacts(
  accountKey: Uint8Array,
  contacts: Uint8Array,
  address: string,
): Uint8Array<ArrayBuffer> {
  return withSubkey(accountKey, DERIVATION_CONTEXT.contacts, (key) =>
    sealBox(key, contacts, contactsAad(address)),
  );
}

/** The contacts that `sealContacts` sealed. @throws CryptoError `decryption-failed`. */
export function openContacts(accountKey: Uint8Array, sealed: Uint8Array, address: string): Uint8Array {
  return withSubkey(accountKey, DERIVATION_CONTEXT.contacts, (key) =>
    openBox(key, sealed, contactsAad(address)),
  );
}

function withSubkey<T>(accountKey: Uint8Array, context: string, use: (key: Uint8Array) => T): T {
  requireLength("account key", accountKey, ACCOUNT_KEY_LENGTH);
  const key = primitives().blake3.deriveKey(context, accountKey);
  try {
    return use(key);
  } finally {
    wipe(key);
  }
}

function accountKeyAad({ address, kind, number }: AccountKeyWrapSlot): Uint8Array {
  return concat(lp(SEALING_LABEL.accountKey), lp(address), lp(kind), u32(number));
}

function seedAad({ algorithm, address, number }: SeedSlot): Uint8Array {
  return concat(lp(SEALING_LABEL.privateKey), lp(algorithm), lp(address), u32(number));
}

function contactsAad(address: string): Uint8Array {
  return concat(lp(SEALING_LABEL.contacts), lp(address));
}
