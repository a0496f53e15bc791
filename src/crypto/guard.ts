/**
 * The door in front of every tier: all lengths and ranges are checked here, once, so that tiers refuse alike and hold
 * nothing but the calls themselves. `verify` answers false where everything else throws a CryptoError.
 */

import { CryptoError, requireLength } from "./errors.ts";
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
  HKDF_MAX_INFO_LENGTH,
  HKDF_SHA_256_MAX_LENGTH,
  ML_DSA_65_MAX_CONTEXT_LENGTH,
  ML_DSA_65_PUBLIC_KEY_LENGTH,
  ML_DSA_65_SEED_LENGTH,
  ML_DSA_65_SIGNATURE_LENGTH,
  ML_KEM_768_CIPHERTEXT_LENGTH,
  ML_KEM_768_PUBLIC_KEY_LENGTH,
  ML_KEM_768_SEED_LENGTH,
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

/** The same primitives with every input checked first. A tier's own code may rely on lengths being right. */
export function guarded(tier: Primitives): Primitives {
  return {
    tier: tier.tier,
    ed25519: {
      publicKey(seed) {
        requireLength("ed25519 seed", seed, ED25519_SEED_LENGTH);
        return tier.ed25519.publicKey(seed);
      },
      sign(seed, message) {
        requireLength("ed25519 seed", seed, ED25519_SEED_LENGTH);
        return tier.ed25519.sign(seed, message);
      },
      verify(publicKey, message, signature) {
        if (publicKey.length !== ED25519_PUBLIC_KEY_LENGTH) return false;
        if (signature.length !== ED25519_SIGNATURE_LENGTH) return false;
        return tier.ed25519.verify(publicKey, message, signature);
      },
    },
    x25519: {
      publicKey(secret) {
        requireLength("x25519 secret", secret, X25519_SECRET_LENGTH);
        return tier.x25519.publicKey(secret);
      },
      sharedSecret(secret, publicKey) {
        requireLength("x25519 secret", secret, X25519_SECRET_LENGTH);
        requireLength("x25519 public key", publicKey, X25519_PUBLIC_KEY_LENGTH);
        return tier.x25519.sharedSecret(secret, publicKey);
      },
    },
    mlDsa65: {
      publicKey(seed) {
        requireLength("ml-dsa-65 seed", seed, ML_DSA_65_SEED_LENGTH);
        return tier.mlDsa65.publicKey(seed);
      },
      sign(seed, message, context = EMPTY) {
        requireLength("ml-dsa-65 seed", seed, ML_DSA_65_SEED_LENGTH);
        if (context.length > ML_DSA_65_MAX_CONTEXT_LENGTH) {
          throw new CryptoError("wrong-length", "ml-dsa-65 context must be at most 255 bytes");
        }
        return tier.mlDsa65.sign(seed, message, context);
      },
      verify(publicKey, message, signature, context = EMPTY) {
        if (publicKey.length !== ML_DSA_65_PUBLIC_KEY_LENGTH) return false;
        if (signature.length !== ML_DSA_65_SIGNATURE_LENGTH) return false;
        if (context.length > ML_DSA_65_MAX_CONTEXT_LENGTH) return false;
        return tier.mlDsa65.verify(publicKey, message, signature, context);
      },
    },
    mlKem768: {
      publicKey(seed) {
        requireLength("ml-kem-768 seed", seed, ML_KEM_768_SEED_LENGTH);
        return tier.mlKem768.publicKey(seed);
      },
      encapsulate(publicKey) {
        requireLength("ml-kem-768 public key", publicKey, ML_KEM_768_PUBLIC_KEY_LENGTH);
        if (!isMlKem768PublicKey(publicKey)) {
          throw new CryptoError("invalid-key", "ml-kem-768 public key fails the modulus check");
        }
        return tier.mlKem768.encapsulate(publicKey);
      },
      decapsulate(seed, ciphertext) {
        requireLength("ml-kem-768 seed", seed, ML_KEM_768_SEED_LENGTH);
        requireLength("ml-kem-768 ciphertext", ciphertext, ML_KEM_768_CIPHERTEXT_LENGTH);
        return tier.mlKem768.decapsulate(seed, ciphertext);
      },
    },
    aes256Gcm: {
      seal(key, nonce, plaintext, aad = EMPTY) {
        requireLength("aes-256-gcm key", key, AES_256_GCM_KEY_LENGTH);
        requireLength("aes-256-gcm nonce", nonce, AES_256_GCM_NONCE_LENGTH);
        return tier.aes256Gcm.seal(key, nonce, plaintext, aad);
      },
      open(key, nonce, sealed, aad = EMPTY) {
        requireLength("aes-256-gcm key", key, AES_256_GCM_KEY_LENGTH);
        requireLength("aes-256-gcm nonce", nonce, AES_256_GCM_NONCE_LENGTH);
        if (sealed.length < AES_256_GCM_TAG_LENGTH) {
          throw new CryptoError("wrong-length", "sealed bytes are shorter than a tag");
        }
        return tier.aes256Gcm.open(key, nonce, sealed, aad);
      },
    },
    blake3: {
      hash(data, length = BLAKE3_LENGTH) {
        requireBlake3Length(length);
        return tier.blake3.hash(data, length);
      },
      keyed(key, data, length = BLAKE3_LENGTH) {
        requireLength("blake3 key", key, BLAKE3_KEY_LENGTH);
        requireBlake3Length(length);
        return tier.blake3.keyed(key, data, length);
      },
      deriveKey(context, material, length = BLAKE3_LENGTH) {
        requireBlake3Length(length);
        return tier.blake3.deriveKey(context, material, length);
      },
      hasher: () => guardedHasher(tier.blake3.hasher()),
    },
    hkdfSha256(ikm, salt, info, length) {
      requireRange("hkdf output length", length, 1, HKDF_SHA_256_MAX_LENGTH);
      requireRange("hkdf info length", info.length, 0, HKDF_MAX_INFO_LENGTH);
      return tier.hkdfSha256(ikm, salt, info, length);
    },
    sha256: tier.sha256,
    sha512: tier.sha512,
    async argon2id(password, salt, parameters, length) {
      requireArgon2idParameters(salt, parameters, length);
      return tier.argon2id(password, salt, parameters, length);
    },
  };
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

function requireRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new CryptoError("out-of-range", `${name} must be an integer from ${min} to ${max}`);
  }
}
