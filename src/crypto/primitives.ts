/**
 * The primitives that every tier implements, and the lengths of their inputs and outputs. All constructions of the
 * protocol are built on this interface alone, so a tier can be swapped without a byte changing.
 *
 * Every function that is given a byte string of the wrong length throws a CryptoError with reason `wrong-length`,
 * except `verify`, which returns false: a signature that cannot be one is simply not valid. Results are fresh plain
 * Uint8Arrays. Everything is synchronous but `argon2id`.
 */

/** Ed25519 private key: the 32-byte seed of RFC 8032 §5.1.5. */
export const ED25519_SEED_LENGTH = 32;
export const ED25519_PUBLIC_KEY_LENGTH = 32;
export const ED25519_SIGNATURE_LENGTH = 64;

/** X25519 scalars, coordinates and shared secrets (RFC 7748 §5). */
export const X25519_SECRET_LENGTH = 32;
export const X25519_PUBLIC_KEY_LENGTH = 32;
export const X25519_SHARED_SECRET_LENGTH = 32;

/** ML-DSA-65 private key: the 32-byte seed ξ (FIPS 204, Algorithm 6). */
export const ML_DSA_65_SEED_LENGTH = 32;
export const ML_DSA_65_PUBLIC_KEY_LENGTH = 1952;
export const ML_DSA_65_SIGNATURE_LENGTH = 3309;
/** Longest context string (FIPS 204 §5.2). */
export const ML_DSA_65_MAX_CONTEXT_LENGTH = 255;

/** ML-KEM-768 private key: the 64-byte seed d ‖ z (FIPS 203, Algorithm 16). */
export const ML_KEM_768_SEED_LENGTH = 64;
export const ML_KEM_768_PUBLIC_KEY_LENGTH = 1184;
export const ML_KEM_768_CIPHERTEXT_LENGTH = 1088;
export const ML_KEM_768_SHARED_SECRET_LENGTH = 32;

export const AES_256_GCM_KEY_LENGTH = 32;
export const AES_256_GCM_NONCE_LENGTH = 12;
export const AES_256_GCM_TAG_LENGTH = 16;

export const SHA_256_LENGTH = 32;
export const SHA_512_LENGTH = 64;
/** Longest output of HKDF-SHA-256: 255 blocks (RFC 5869 §2.3). */
export const HKDF_SHA_256_MAX_LENGTH = 255 * SHA_256_LENGTH;
/** Longest `info` that Node's HKDF takes, and so what every tier takes. */
export const HKDF_MAX_INFO_LENGTH = 1024;

export const BLAKE3_KEY_LENGTH = 32;
/** Default output length of the three modes of BLAKE3. */
export const BLAKE3_LENGTH = 32;
/** Longest output that any tier gives: the most that the protocol hands out. */
export const BLAKE3_MAX_LENGTH = 1024;

/** Ed25519 (RFC 8032 §5.1), signatures without context or prehash. */
export interface Ed25519 {
  /** The 32-byte public key of a 32-byte seed. */
  publicKey(seed: Uint8Array): Uint8Array;
  /** The deterministic 64-byte signature over `message`. */
  sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * Cofactorless verification, the strictest reading of RFC 8032 §5.1.7: A and R canonical, S < L, neither A nor R of
   * small order, and the encoding of [S]B − [k]A equal to the bytes of R. False for anything else, wrong lengths
   * included. R of small order, which no honest signer ever makes, is refused because newer releases of Node refuse
   * it (as Web Crypto asks) and older ones do not.
   */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The same off the event loop, where the tier has other threads to do it on. */
  verifyAside?(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/** X25519 (RFC 7748 §5). */
export interface X25519 {
  /** The 32-byte public key of a 32-byte secret, which is clamped as it is used. */
  publicKey(secret: Uint8Array): Uint8Array;
  /** The 32-byte shared secret. @throws CryptoError `invalid-key` when it is all zero (RFC 7748 §6.1). */
  sharedSecret(secret: Uint8Array, publicKey: Uint8Array): Uint8Array;
}

/** ML-DSA-65 (FIPS 204), pure mode; `context` is at most 255 bytes and empty when not given. */
export interface MlDsa65 {
  /** The 1,952-byte public key of the 32-byte seed ξ. */
  publicKey(seed: Uint8Array): Uint8Array;
  /** A hedged 3,309-byte signature: two calls give different bytes. @throws CryptoError for a longer context. */
  sign(seed: Uint8Array, message: Uint8Array, context?: Uint8Array): Uint8Array;
  /** Whether the signature holds; false for wrong lengths, context included. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array, context?: Uint8Array): boolean;
  /** The same off the event loop, where the tier has other threads to do it on. */
  verifyAside?(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
    context?: Uint8Array,
  ): Promise<boolean>;
}

/** What an encapsulation gives: the ciphertext to send and the secret that it carries. */
export interface Encapsulation {
  /** 1,088 bytes. */
  ciphertext: Uint8Array;
  /** 32 bytes. */
  sharedSecret: Uint8Array;
}

/** ML-KEM-768 (FIPS 203). */
export interface MlKem768 {
  /** The 1,184-byte encapsulation key of the 64-byte seed d ‖ z. */
  publicKey(seed: Uint8Array): Uint8Array;
  /** @throws CryptoError `invalid-key` when the key fails the modulus check of FIPS 203 §7.2. */
  encapsulate(publicKey: Uint8Array): Encapsulation;
  /**
   * The 32-byte shared secret. A ciphertext that was not made for this key gives a pseudorandom secret and no error
   * (implicit rejection, FIPS 203 §6.3).
   */
  decapsulate(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

/** AES-256-GCM (NIST SP 800-38D) with 12-byte nonces; sealed = ciphertext ‖ 16-byte tag. */
export interface Aes256Gcm {
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad?: Uint8Array): Uint8Array;
  /** @throws CryptoError `decryption-failed` when the tag does not match; `wrong-length` when shorter than a tag. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array;
}

/** BLAKE3 of data that comes in pieces. */
export interface Blake3Hasher {
  /** Appends data; returns the hasher itself. @throws CryptoError `out-of-range` after `digest`. */
  update(data: Uint8Array): Blake3Hasher;
  /** The hash of everything appended; 32 bytes when no length is given. Ends the hasher. */
  digest(length?: number): Uint8Array;
}

/** BLAKE3 in its three modes, with outputs of 1 to 1,024 bytes (32 when no length is given). */
export interface Blake3 {
  hash(data: Uint8Array, length?: number): Uint8Array;
  /** `key` is 32 bytes. */
  keyed(key: Uint8Array, data: Uint8Array, length?: number): Uint8Array;
  /** `context` is a hard-coded, globally unique string; `material` is the key material. */
  deriveKey(context: string, material: Uint8Array, length?: number): Uint8Array;
  /** An incremental hasher of the plain mode. Hashers are independent of each other. */
  hasher(): Blake3Hasher;
}

/** Costs of Argon2id (RFC 9106 §3.1). */
export interface Argon2idParameters {
  /** m, in KiB; at least 8 per lane. */
  memoryKiB: number;
  /** t. */
  passes: number;
  /** p. */
  lanes: number;
}

/** What hashes and derives: what every tier has. */
export interface HashPrimitives {
  /** Which tier this is, for logs and benchmarks; of the chosen primitives, the one that signs. */
  readonly tier: TierName;
  readonly blake3: Blake3;
  /** 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** 64 bytes. */
  sha512(data: Uint8Array): Uint8Array;
  /** HKDF-SHA-256, extract and expand (RFC 5869); `length` is 1 to 8,160 bytes, `info` at most 1,024. */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** Argon2id version 0x13 (RFC 9106); salt of at least 8 bytes, output of at least 4. Off the event loop if it can. */
  argon2id(
    password: Uint8Array,
    salt: Uint8Array,
    parameters: Argon2idParameters,
    length: number,
  ): Promise<Uint8Array>;
}

/** The whole set. */
export interface Primitives extends HashPrimitives {
  readonly ed25519: Ed25519;
  readonly x25519: X25519;
  readonly mlDsa65: MlDsa65;
  readonly mlKem768: MlKem768;
  readonly aes256Gcm: Aes256Gcm;
}

/** A primitive by the name of its field. */
export type PrimitiveName = Exclude<keyof Primitives, "tier">;

/** A set of implementations: OpenSSL through node:crypto, WebAssembly, or plain JavaScript that runs anywhere. */
export type TierName = "native" | "wasm" | "js";
