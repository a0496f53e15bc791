/**
 * Wrapping a content key for one recipient with X25519 and ML-KEM-768 side by side (docs/protocol.md section 6.2): the
 * key stays secret while either holds. The key-encryption key binds who wraps for whom under which key numbers, both
 * public keys and both encapsulations, so a wrap means nothing anywhere else.
 */

import { concat, lp, randomBytes, u32, wipe } from "./bytes.ts";
import { CONTENT_KEY_LENGTH } from "./content.ts";
import { SEALING_LABEL } from "./contexts.ts";
import { CryptoError, requireLength } from "./errors.ts";
import {
  AES_256_GCM_KEY_LENGTH,
  AES_256_GCM_NONCE_LENGTH,
  AES_256_GCM_TAG_LENGTH,
  SHA_256_LENGTH,
  X25519_SECRET_LENGTH,
} from "./primitives.ts";
import { primitives } from "./select.ts";

/** Content key ‖ tag: 48 bytes. */
export const WRAPPED_KEY_LENGTH = CONTENT_KEY_LENGTH + AES_256_GCM_TAG_LENGTH;

const HKDF_SALT = new Uint8Array(SHA_256_LENGTH);
const ZERO_NONCE = new Uint8Array(AES_256_GCM_NONCE_LENGTH); // a key-encryption key seals exactly once

/** Who wraps for whom; addresses canonical. */
export interface KeyWrapContext {
  sender: string;
  /** Number of the sender's key set that signs the envelope. */
  senderKeyNumber: number;
  /** Address that the wrap is for: the recipient, or the sender for the copy of its own. */
  wrapAddress: string;
  /** Number of that address's key set. */
  wrapKeyNumber: number;
}

/** Public keys that a content key is wrapped to. */
export interface WrapPublicKeys {
  /** 32 bytes. */
  x25519: Uint8Array;
  /** 1,184 bytes. */
  mlKem768: Uint8Array;
}

/** Private keys that unwrap. */
export interface WrapSeeds {
  /** 32 bytes. */
  x25519: Uint8Array;
  /** 64 bytes, d ‖ z. */
  mlKem768: Uint8Array;
}

/** A wrapped content key as it travels. */
export interface WrappedContentKey {
  /** Ephemeral X25519 public key, 32 bytes. */
  x25519Ephemeral: Uint8Array;
  /** 1,088 bytes. */
  mlKemCiphertext: Uint8Array;
  /** 48 bytes. */
  wrappedKey: Uint8Array;
}

/**
 * Wraps a 32-byte content key, with a fresh ephemeral key pair and a fresh encapsulation.
 *
 * @throws CryptoError `wrong-length`; `invalid-key` for a public key of small order or out of range.
 */
export function wrapContentKey(
  contentKey: Uint8Array,
  recipient: WrapPublicKeys,
  context: KeyWrapContext,
): WrappedContentKey {
  requireLength("content key", contentKey, CONTENT_KEY_LENGTH);
  const { x25519, mlKem768, aes256Gcm } = primitives();
  const ephemeralSecret = randomBytes(X25519_SECRET_LENGTH);
  const secrets: Uint8Array[] = [ephemeralSecret];
  try {
    const dhSecret = x25519.sharedSecret(ephemeralSecret, recipient.x25519);
    secrets.push(dhSecret);
    const { ciphertext: mlKemCiphertext, sharedSecret: kemSecret } = mlKem768.encapsulate(recipient.mlKem768);
    secrets.push(kemSecret);
    const x25519Ephemeral = x25519.publicKey(ephemeralSecret);
    const kek = keyEncryptionKey(dhSecret, kemSecret, context, x25519Ephemeral, mlKemCiphertext, recipient);
    secrets.push(kek);
    return { x25519Ephemeral, mlKemCiphertext, wrappedKey: aes256Gcm.seal(kek, ZERO_NONCE, contentKey) };
  } finally {
    wipe(...secrets);
  }
}

/**
 * The 32-byte content key of a wrap.
 *
 * @throws CryptoError `wrong-length`; `decryption-failed` when the wrap was not made for these keys and this context,
 * which covers an ephemeral key of small order too: whoever opens learns no more than that it failed.
 */
export function unwrapContentKey(
  wrap: WrappedContentKey,
  seeds: WrapSeeds,
  context: KeyWrapContext,
): Uint8Array {
  requireLength("wrapped key", wrap.wrappedKey, WRAPPED_KEY_LENGTH);
  const { x25519, mlKem768, aes256Gcm } = primitives();
  const secrets: Uint8Array[] = [];
  try {
    const dhSecret = x25519.sharedSecret(seeds.x25519, wrap.x25519Ephemeral);
    secrets.push(dhSecret);
    const kemSecret = mlKem768.decapsulate(seeds.mlKem768, wrap.mlKemCiphertext);
    secrets.push(kemSecret);
    const own = { x25519: x25519.publicKey(seeds.x25519), mlKem768: mlKem768.publicKey(seeds.mlKem768) };
    const kek = keyEncryptionKey(
      dhSecret,
      kemSecret,
      context,
      wrap.x25519Ephemeral,
      wrap.mlKemCiphertext,
      own,
    );
    secrets.push(kek);
    return aes256Gcm.open(kek, ZERO_NONCE, wrap.wrappedKey);
  } catch (error) {
    if (error instanceof CryptoError && error.reason === "invalid-key") {
      throw new CryptoError("decryption-failed", "wrapped key does not open");
    }
    throw error;
  } finally {
    wipe(...secrets);
  }
}

function keyEncryptionKey(
  dhSecret: Uint8Array,
  kemSecret: Uint8Array,
  context: KeyWrapContext,
  x25519Ephemeral: Uint8Array,
  mlKemCiphertext: Uint8Array,
  recipient: WrapPublicKeys,
): Uint8Array {
  const { hkdfSha256, sha256 } = primitives();
  const ikm = concat(dhSecret, kemSecret);
  const info = concat(
    lp(SEALING_LABEL.keyWrap),
    lp(context.sender),
    u32(context.senderKeyNumber),
    lp(context.wrapAddress),
    u32(context.wrapKeyNumber),
    x25519Ephemeral,
    recipient.x25519,
    sha256(mlKemCiphertext),
    sha256(recipient.mlKem768),
  );
  try {
    return hkdfSha256(ikm, HKDF_SALT, info, AES_256_GCM_KEY_LENGTH);
  } finally {
    wipe(ikm);
  }
}
