/**
 * Key sets (docs/protocol.md, section 3): building one from seeds, reading one strictly, and verifying that it signs itself
 * and continues the one before. The body travels as bytes and is hashed and verified as those bytes.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import { type KeySet, KeySetBodySchema, KeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import { concat, wipe } from "../crypto/bytes.ts";
import { COMPOSITE_SIGNATURE_LENGTH, composite } from "../crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import {
  BLAKE3_LENGTH,
  ED25519_PUBLIC_KEY_LENGTH,
  ML_DSA_65_PUBLIC_KEY_LENGTH,
  ML_KEM_768_PUBLIC_KEY_LENGTH,
  X25519_PUBLIC_KEY_LENGTH,
} from "../crypto/primitives.ts";
import { isMlKem768PublicKey, isX25519PublicKey } from "../crypto/public-keys.ts";
import { primitives } from "../crypto/select.ts";
import { isCanonicalAddress } from "./address.ts";
import { ProtocolError } from "./errors.ts";
import { MAX_KEY_SET_NUMBER } from "./limits.ts";
import { decodeCanonical, sameBytes } from "./strict-message.ts";
import { timeFromWire } from "./time.ts";

/** Version of the key set body that this code builds and reads. */
export const KEY_SET_VERSION = 1;

/** The four public keys of a set. */
export interface PublicKeys {
  /** 32 bytes. */
  readonly ed25519: Uint8Array;
  /** 32 bytes. */
  readonly x25519: Uint8Array;
  /** 1,952 bytes. */
  readonly mlDsa65: Uint8Array;
  /** 1,184 bytes. */
  readonly mlKem768: Uint8Array;
}

/** The four private keys of a set, as seeds. */
export interface PrivateSeeds {
  /** 32 bytes. */
  readonly ed25519: Uint8Array;
  /** 32 bytes. */
  readonly x25519: Uint8Array;
  /** 32 bytes: ξ of FIPS 204. */
  readonly mlDsa65: Uint8Array;
  /** 64 bytes: d ‖ z of FIPS 203. */
  readonly mlKem768: Uint8Array;
}

/** A key set that was read strictly. Says nothing about its signatures. */
export interface ParsedKeySet {
  /** Canonical. */
  readonly address: string;
  /** 1 to 100. */
  readonly number: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly publicKeys: PublicKeys;
  /** Hash of the set before, 32 bytes; empty for number 1. */
  readonly previousHash: Uint8Array;
  readonly revokesPrevious: boolean;
  /** BLAKE3 of the body, 32 bytes: what is pinned. */
  readonly hash: Uint8Array;
  /** The bytes that were read. */
  readonly body: Uint8Array;
}

/** What a new key set is built from. */
export interface NewKeySet {
  /** Canonical address. */
  readonly address: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly seeds: PrivateSeeds;
  /** The active set, unless this is number 1. Without its seeds the new set is a reset: nothing vouches for it. */
  readonly previous?: { readonly keySet: ParsedKeySet; readonly seeds?: PrivateSeeds };
  /** True after a compromise: the previous set counts for nothing new from now on. */
  readonly revokesPrevious?: boolean;
}

/** The public keys of private seeds. */
export function publicKeysOf(seeds: PrivateSeeds): PublicKeys {
  const { ed25519, x25519, mlDsa65, mlKem768 } = primitives();
  return {
    ed25519: ed25519.publicKey(seeds.ed25519),
    x25519: x25519.publicKey(seeds.x25519),
    mlDsa65: mlDsa65.publicKey(seeds.mlDsa65),
    mlKem768: mlKem768.publicKey(seeds.mlKem768),
  };
}

/** The composite verifying key of a set, 1,984 bytes (section 4). */
export function verifyingKey(publicKeys: PublicKeys): Uint8Array {
  return concat(publicKeys.mlDsa65, publicKeys.ed25519);
}

/** The composite signing key of a set, 64 bytes. The caller wipes it. */
export function signingKey(seeds: PrivateSeeds): Uint8Array {
  return concat(seeds.mlDsa65, seeds.ed25519);
}

/**
 * Builds and signs a key set. Its number is one above the previous one's.
 *
 * @throws ProtocolError KEY_SET_INVALID for what every receiver would refuse, before anything is signed.
 */
export function buildKeySet(input: NewKeySet): KeySet {
  const { previous, seeds } = input;
  const keys = publicKeysOf(seeds);
  const body = toBinary(
    KeySetBodySchema,
    create(KeySetBodySchema, {
      version: KEY_SET_VERSION,
      address: input.address,
      number: (previous?.keySet.number ?? 0) + 1,
      createdAt: BigInt(input.createdAt),
      ed25519PublicKey: keys.ed25519,
      x25519PublicKey: keys.x25519,
      mlDsa65PublicKey: keys.mlDsa65,
      mlKem768PublicKey: keys.mlKem768,
      previousHash: previous?.keySet.hash ?? new Uint8Array(),
      revokesPrevious: input.revokesPrevious ?? false,
    }),
  );
  const parsed = parseKeySetBody(body);
  if (previous && !follows(previous.keySet, parsed)) {
    throw invalid("it is of another address than the previous set, or not dated after it");
  }
  return create(KeySetSchema, {
    body,
    selfSignature: sign(seeds, body, SIGNATURE_CONTEXT.keySet),
    continuitySignature: previous?.seeds
      ? sign(previous.seeds, body, SIGNATURE_CONTEXT.keySetRotation)
      : new Uint8Array(),
  });
}

/**
 * Reads a key set body: canonical encoding, version, address, number, key lengths, an X25519 key that is not of low order
 * and an ML-KEM key that passes the modulus check of FIPS 203 §7.2.
 *
 * @throws ProtocolError KEY_SET_INVALID saying what is wrong.
 */
export function parseKeySetBody(body: Uint8Array): ParsedKeySet {
  const message = decodeCanonical(KeySetBodySchema, body, "KEY_SET_INVALID", "key set body");
  if (message.version !== KEY_SET_VERSION) throw invalid(`version ${message.version} is not known`);
  if (!isCanonicalAddress(message.address)) throw invalid("address is not in canonical form");
  if (message.number < 1 || message.number > MAX_KEY_SET_NUMBER) throw invalid("number is not from 1 to 100");
  const createdAt = timeFromWire(message.createdAt);
  if (createdAt === undefined || createdAt === 0) throw invalid("created_at is no time");
  requireLength("ed25519_public_key", message.ed25519PublicKey, ED25519_PUBLIC_KEY_LENGTH);
  requireLength("x25519_public_key", message.x25519PublicKey, X25519_PUBLIC_KEY_LENGTH);
  requireLength("ml_dsa_65_public_key", message.mlDsa65PublicKey, ML_DSA_65_PUBLIC_KEY_LENGTH);
  requireLength("ml_kem_768_public_key", message.mlKem768PublicKey, ML_KEM_768_PUBLIC_KEY_LENGTH);
  requireLength("previous_hash", message.previousHash, message.number === 1 ? 0 : BLAKE3_LENGTH);
  if (message.number === 1 && message.revokesPrevious)
    throw invalid("number 1 has no previous set to revoke");
  if (!isX25519PublicKey(message.x25519PublicKey)) throw invalid("x25519_public_key is of low order");
  if (!isMlKem768PublicKey(message.mlKem768PublicKey)) {
    throw invalid("ml_kem_768_public_key fails the modulus check of FIPS 203");
  }
  return {
    address: message.address,
    number: message.number,
    createdAt,
    publicKeys: {
      ed25519: message.ed25519PublicKey,
      x25519: message.x25519PublicKey,
      mlDsa65: message.mlDsa65PublicKey,
      mlKem768: message.mlKem768PublicKey,
    },
    previousHash: message.previousHash,
    revokesPrevious: message.revokesPrevious,
    hash: primitives().blake3.hash(body),
    body,
  };
}

/**
 * Reads a key set and verifies that it signs itself. Whether the set before vouches for it is for `continues` to say.
 *
 * @throws ProtocolError KEY_SET_INVALID.
 */
export function verifyKeySet(keySet: KeySet): ParsedKeySet {
  const parsed = parseKeySetBody(keySet.body);
  if (
    !composite.verify(
      verifyingKey(parsed.publicKeys),
      keySet.body,
      keySet.selfSignature,
      SIGNATURE_CONTEXT.keySet,
    )
  ) {
    throw invalid("self signature does not verify");
  }
  if (parsed.number === 1 && keySet.continuitySignature.length > 0) {
    throw invalid("number 1 has no previous set that could vouch for it");
  }
  if (keySet.continuitySignature.length > 0) {
    requireLength("continuity_signature", keySet.continuitySignature, COMPOSITE_SIGNATURE_LENGTH);
  }
  return parsed;
}

/** Whether a set names `previous` as the one before it: next number, same address, its hash, a later date. */
export function follows(previous: ParsedKeySet, next: ParsedKeySet): boolean {
  return (
    next.number === previous.number + 1 &&
    next.address === previous.address &&
    sameBytes(next.previousHash, previous.hash) &&
    next.createdAt > previous.createdAt
  );
}

/** Whether the previous set's keys vouch for the next: it follows, and the continuity signature verifies. */
export function continues(
  previous: ParsedKeySet,
  next: ParsedKeySet,
  continuitySignature: Uint8Array,
): boolean {
  return (
    follows(previous, next) &&
    composite.verify(
      verifyingKey(previous.publicKeys),
      next.body,
      continuitySignature,
      SIGNATURE_CONTEXT.keySetRotation,
    )
  );
}

function sign(seeds: PrivateSeeds, body: Uint8Array, context: string): Uint8Array {
  const key = signingKey(seeds);
  try {
    return composite.sign(key, body, context);
  } finally {
    wipe(key);
  }
}

function requireLength(field: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw invalid(`${field} is ${bytes.length} bytes, not ${length}`);
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("KEY_SET_INVALID", `key set: ${message}`, { field: "key_set" });
}
