/**
 * From a password to the two keys that come of it (docs/protocol.md section 5): the login key, which the server sees,
 * and the wrapping key, which opens the account key and never leaves the client. Argon2id (RFC 9106) makes guessing
 * dear; the derivations behind it keep what logs in from decrypting, and the reverse.
 */

import { concat, lp, randomBytes, utf8, wipe } from "./bytes.ts";
import { DERIVATION_CONTEXT } from "./contexts.ts";
import { CryptoError, requireLength } from "./errors.ts";
import { type Argon2idParameters, BLAKE3_LENGTH } from "./primitives.ts";
import { primitives } from "./select.ts";

export const PASSWORD_SALT_LENGTH = 32;
export const PASSWORD_KEY_LENGTH = 32;
export const WRAPPING_KEY_LENGTH = BLAKE3_LENGTH;
export const LOGIN_KEY_LENGTH = BLAKE3_LENGTH;
export const LOGIN_VERIFIER_LENGTH = BLAKE3_LENGTH;
/** Longest password, in bytes of UTF-8 after normalization. */
export const MAX_PASSWORD_LENGTH = 1024;

/** What new passwords are hashed with; also the least that a client accepts from a server. */
export const DEFAULT_PASSWORD_COST: Readonly<Argon2idParameters> = {
  memoryKiB: 64 * 1024,
  passes: 3,
  lanes: 1,
};
/** The most that a client accepts: a server must not be able to exhaust the device. */
export const MAX_PASSWORD_COST: Readonly<Argon2idParameters> = {
  memoryKiB: 1024 * 1024,
  passes: 10,
  lanes: 1,
};

const ARGON2ID_SALT_LENGTH = 16; // RFC 9106 §3.1 recommends 16 bytes

/** A fresh salt, 32 random bytes. */
export function generatePasswordSalt(): Uint8Array<ArrayBuffer> {
  return randomBytes(PASSWORD_SALT_LENGTH);
}

/**
 * The bytes that are hashed: UTF-8 of the NFC form. Nothing is trimmed or folded.
 *
 * @throws CryptoError `malformed` for a lone surrogate, `out-of-range` unless it is 1 to 1,024 bytes.
 */
export function normalizePassword(password: string): Uint8Array<ArrayBuffer> {
  const bytes = utf8(password.normalize("NFC"));
  if (bytes.length < 1 || bytes.length > MAX_PASSWORD_LENGTH) {
    wipe(bytes);
    throw new CryptoError("out-of-range", `password must be 1 to ${MAX_PASSWORD_LENGTH} bytes`);
  }
  return bytes;
}

/** Refuses costs outside the client's bounds. @throws CryptoError `out-of-range`. */
export function requirePasswordCost(cost: Argon2idParameters): void {
  const within = (name: "memoryKiB" | "passes" | "lanes") =>
    Number.isSafeInteger(cost[name]) &&
    cost[name] >= DEFAULT_PASSWORD_COST[name] &&
    cost[name] <= MAX_PASSWORD_COST[name];
  if (!within("memoryKiB")) throw new CryptoError("out-of-range", "password memory must be 64 MiB to 1 GiB");
  if (!within("passes")) throw new CryptoError("out-of-range", "password passes must be 3 to 10");
  if (!within("lanes")) throw new CryptoError("out-of-range", "password lanes must be 1");
}

/**
 * The 32-byte password key, from which the wrapping key and the login key are derived; wipe it after that.
 *
 * @param address canonical address of the account, so that equal salts at two addresses differ.
 * @param salt 32 bytes, drawn by the client when the password was set.
 * @throws CryptoError as `normalizePassword` and `requirePasswordCost` do; `wrong-length` for the salt.
 */
export async function passwordKey(
  password: string,
  address: string,
  salt: Uint8Array,
  cost: Argon2idParameters = DEFAULT_PASSWORD_COST,
): Promise<Uint8Array> {
  requireLength("password salt", salt, PASSWORD_SALT_LENGTH);
  requirePasswordCost(cost);
  const { argon2id, blake3 } = primitives();
  const bytes = normalizePassword(password);
  try {
    const bound = blake3.deriveKey(DERIVATION_CONTEXT.passwordSalt, concat(lp(address), salt));
    return await argon2id(bytes, bound.subarray(0, ARGON2ID_SALT_LENGTH), cost, PASSWORD_KEY_LENGTH);
  } finally {
    wipe(bytes);
  }
}

/** The 32-byte key that wraps the account key. It never leaves the client. */
export function wrappingKey(passwordKey: Uint8Array): Uint8Array {
  requireLength("password key", passwordKey, PASSWORD_KEY_LENGTH);
  return primitives().blake3.deriveKey(DERIVATION_CONTEXT.wrappingKey, passwordKey);
}

/** The 32-byte key that logs in. */
export function loginKey(passwordKey: Uint8Array): Uint8Array {
  requireLength("password key", passwordKey, PASSWORD_KEY_LENGTH);
  return primitives().blake3.deriveKey(DERIVATION_CONTEXT.loginKey, passwordKey);
}

/** The 32 bytes that a server keeps to recognise a login key; compare them in constant time. */
export function loginVerifier(address: string, loginKey: Uint8Array): Uint8Array {
  requireLength("login key", loginKey, LOGIN_KEY_LENGTH);
  const material = concat(lp(address), loginKey);
  try {
    return primitives().blake3.deriveKey(DERIVATION_CONTEXT.loginVerifier, material);
  } finally {
    wipe(material);
  }
}
