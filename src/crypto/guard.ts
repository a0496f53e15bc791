/**
 * The door in front of every tier: all lengths and ranges are checked here, once, so that tiers refuse alike and hold
 * nothing but the calls themselves. `verify` answers false where everything else throws a CryptoError.
 */

import { CryptoError, requireLength, requireRange } from "./errors.ts";
import { isMlKem768PublicKey } from "./ml-kem-key.ts";
import {
  AES_256_GCM_KEY_LENGTH,
  AES_256_GCM_NONCE_LENGTH,
  AES_256_GCM_TAG_LENGTH,
  type Argon2idParameters,
  BLAKE3_KEY_LENGTH,
  BLAKE3_LENGTH,
  BLAKE3_MAX_LENGTH,
  type Blake3Hasher,
  ED25519_PUBLIC_KEY_LENGTH,
  ED25519_SEED_LENGTH,
  ED25519_SIGNATURE_LENGTH,
  type HashPrimitives,
  HKDF_MAX_INFO_LENGTH,
  HKDF_SHA_256_MAX_LENGTH,
  ML_DSA_65_MAX_CONTEXT_LENGTH,
  ML_DSA_65_PUBLIC_KEY_LENGTH,
  ML_DSA_65_SEED_LENGTH,
  ML_DSA_65_SIGNATURE_LENGTH,
  ML_KEM_768_CIPHERTEXT_LENGTH,
  ML_KEM_768_PUBLIC_KEY_LENGTH,
  ML_KEM_768_SEED_LENGTH,
  type PrimitiveName,
  type Primitives,
  X25519_PUBLIC_KEY_LENGTH,
  X25519_SECRET_LENGTH,
} from "./primitives.ts";

const EMPTY = new Uint8Array(0);

// RFC 9106 §3.1 gives the ranges of the parameters; OpenSSL and noble both demand a salt of 8 bytes.
const ARGON2_MAX_LANES = 0xff_ffff;
const ARGON2_MAX_U32 = 0xffff_ffff;
const ARGON2_MIN_SALT_LENGTH = 8;
const ARGON2_MIN_LENGTH = 4;

/** For each primitive, the same one with every input checked first. A tier's own code may rely on lengths being right. */
export const guards: { readonly [Name in PrimitiveName]: (own: Primitives[Name]) => Primitives[Name] } = {
  ed25519: (own) => ({
    publicKey(seed) {
      requireLength("ed25519 seed", seed, ED25519_SEED_LENGTH);
      return own.publicKey(seed);
    },
    sign(seed, message) {
      requireLength("ed25519 seed", seed, ED25519_SEED_LENGTH);
      return own.sign(seed, message);
    },
    verify(publicKey, message, signature) {
      return canBeEd25519(publicKey, signature) && own.verify(publicKey, message, signature);
    },
    ...optional(own.verifyAside, (verifyAside) => ({
      async verifyAside(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) {
        return canBeEd25519(publicKey, signature) && verifyAside(publicKey, message, signature);
      },
    })),
  }),
  x25519: (own) => ({
    publicKey(secret) {
      requireLength("x25519 secret", secret, X25519_SECRET_LENGTH);
      return own.publicKey(secret);
    },
    sharedSecret(secret, publicKey) {
      requireLength("x25519 secret", secret, X25519_SECRET_LENGTH);
      requireLength("x25519 public key", publicKey, X25519_PUBLIC_KEY_LENGTH);
      return own.sharedSecret(secret, publicKey);
    },
  }),
  mlDsa65: (own) => ({
    publicKey(seed) {
      requireLength("ml-dsa-65 seed", seed, ML_DSA_65_SEED_LENGTH);
      return own.publicKey(seed);
    },
    sign(seed, message, context = EMPTY) {
      requireLength("ml-dsa-65 seed", seed, ML_DSA_65_SEED_LENGTH);
      if (context.length > ML_DSA_65_MAX_CONTEXT_LENGTH) {
        throw new CryptoError("wrong-length", "ml-dsa-65 context must be at most 255 bytes");
      }
      return own.sign(seed, message, context);
    },
    verify(publicKey, message, signature, context = EMPTY) {
      return (
        canBeMlDsa65(publicKey, signature, context) && own.verify(publicKey, message, signature, context)
      );
    },
    ...optional(own.verifyAside, (verifyAside) => ({
      async verifyAside(
        publicKey: Uint8Array,
        message: Uint8Array,
        signature: Uint8Array,
        context: Uint8Array = EMPTY,
      ) {
        return (
          canBeMlDsa65(publicKey, signature, context) && verifyAside(publicKey, message, signature, context)
        );
      },
    })),
  }),
  mlKem768: (own) => ({
    publicKey(seed) {
      requireLength("ml-kem-768 seed", seed, ML_KEM_768_SEED_LENGTH);
      return own.publicKey(seed);
    },
    encapsulate(publicKey) {
      requireLength("ml-kem-768 public key", publicKey, ML_KEM_768_PUBLIC_KEY_LENGTH);
      if (!isMlKem768PublicKey(publicKey)) {
        throw new CryptoError("invalid-key", "ml-kem-768 public key fails the modulus check");
      }
      return own.encapsulate(publicKey);
    },
    decapsulate(seed, ciphertext) {
      requireLength("ml-kem-768 seed", seed, ML_KEM_768_SEED_LENGTH);
      requireLength("ml-kem-768 ciphertext", ciphertext, ML_KEM_768_CIPHERTEXT_LENGTH);
      return own.decapsulate(seed, ciphertext);
    },
  }),
  aes256Gcm: (own) => ({
    seal(key, nonce, plaintext, aad = EMPTY) {
      requireLength("aes-256-gcm key", key, AES_256_GCM_KEY_LENGTH);
      requireLength("aes-256-gcm nonce", nonce, AES_256_GCM_NONCE_LENGTH);
      return own.seal(key, nonce, plaintext, aad);
    },
    open(key, nonce, sealed, aad = EMPTY) {
      requireLength("aes-256-gcm key", key, AES_256_GCM_KEY_LENGTH);
      requireLength("aes-256-gcm nonce", nonce, AES_256_GCM_NONCE_LENGTH);
      if (sealed.length < AES_256_GCM_TAG_LENGTH) {
        throw new CryptoError("wrong-length", "sealed bytes are shorter than a tag");
      }
      return own.open(key, nonce, sealed, aad);
    },
  }),
  blake3: (own) => ({
    hash(data, length = BLAKE3_LENGTH) {
      requireBlake3Length(length);
      return own.hash(data, length);
    },
    keyed(key, data, length = BLAKE3_LENGTH) {
      requireLength("blake3 key", key, BLAKE3_KEY_LENGTH);
      requireBlake3Length(length);
      return own.keyed(key, data, length);
    },
    deriveKey(context, material, length = BLAKE3_LENGTH) {
      requireBlake3Length(length);
      return own.deriveKey(context, material, length);
    },
    hasher: () => guardedHasher(own.hasher()),
  }),
  sha256: (own) => own,
  sha512: (own) => own,
  hkdfSha256: (own) => (ikm, salt, info, length) => {
    requireRange("hkdf output length", length, 1, HKDF_SHA_256_MAX_LENGTH);
    requireRange("hkdf info length", info.length, 0, HKDF_MAX_INFO_LENGTH);
    return own(ikm, salt, info, length);
  },
  argon2id: (own) => async (password, salt, parameters, length) => {
    requireArgon2idParameters(salt, parameters, length);
    return own(password, salt, parameters, length);
  },
};

/** A whole tier behind its guards. */
export function guarded(tier: Primitives): Primitives {
  return {
    ...guardedHashes(tier),
    ed25519: guards.ed25519(tier.ed25519),
    x25519: guards.x25519(tier.x25519),
    mlDsa65: guards.mlDsa65(tier.mlDsa65),
    mlKem768: guards.mlKem768(tier.mlKem768),
    aes256Gcm: guards.aes256Gcm(tier.aes256Gcm),
  };
}

/** A tier of hashes behind its guards. */
export function guardedHashes(tier: HashPrimitives): HashPrimitives {
  return {
    tier: tier.tier,
    blake3: guards.blake3(tier.blake3),
    sha256: guards.sha256(tier.sha256),
    sha512: guards.sha512(tier.sha512),
    hkdfSha256: guards.hkdfSha256(tier.hkdfSha256),
    argon2id: guards.argon2id(tier.argon2id),
  };
}

function optional<T, U>(value: T | undefined, use: (value: T) => U): U | undefined {
  return value === undefined ? undefined : use(value);
}

function canBeEd25519(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return publicKey.length === ED25519_PUBLIC_KEY_LENGTH && signature.length === ED25519_SIGNATURE_LENGTH;
}

function canBeMlDsa65(publicKey: Uint8Array, signature: Uint8Array, context: Uint8Array): boolean {
  return (
    publicKey.length === ML_DSA_65_PUBLIC_KEY_LENGTH &&
    signature.length === ML_DSA_65_SIGNATURE_LENGTH &&
    context.length <= ML_DSA_65_MAX_CONTEXT_LENGTH
  );
}

function guardedHasher(hasher: Blake3Hasher): Blake3Hasher {
  let ended = false;
  const requireOpen = () => {
    if (ended) throw new CryptoError("out-of-range", "hasher has already given its digest");
  };
  const self: Blake3Hasher = {
    update(data) {
      requireOpen();
      hasher.update(data);
      return self;
    },
    digest(length = BLAKE3_LENGTH) {
      requireOpen();
      requireBlake3Length(length);
      ended = true;
      return hasher.digest(length);
    },
  };
  return self;
}

function requireBlake3Length(length: number): void {
  requireRange("blake3 output length", length, 1, BLAKE3_MAX_LENGTH);
}

function requireArgon2idParameters(salt: Uint8Array, parameters: Argon2idParameters, length: number): void {
  requireRange("argon2id lanes", parameters.lanes, 1, ARGON2_MAX_LANES);
  requireRange("argon2id passes", parameters.passes, 1, ARGON2_MAX_U32);
  requireRange("argon2id memory in KiB", parameters.memoryKiB, 8 * parameters.lanes, ARGON2_MAX_U32);
  requireRange("argon2id output length", length, ARGON2_MIN_LENGTH, ARGON2_MAX_U32);
  if (salt.length < ARGON2_MIN_SALT_LENGTH) {
    throw new CryptoError("wrong-length", `argon2id salt must be at least ${ARGON2_MIN_SALT_LENGTH} bytes`);
  }
}
