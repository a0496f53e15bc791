/**
 * Changes of a domain key (docs/protocol.md, section 2.1): the old key vouches for the new one, so that peers that remember
 * the old one's hash go along. A proof carries a chain of them, oldest first.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  type DomainKeyRotation,
  DomainKeyRotationBodySchema,
  DomainKeyRotationSchema,
} from "../../gen/keypears/v1/domain_pb.ts";
import { COMPOSITE_PUBLIC_KEY_LENGTH, composite } from "../crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { BLAKE3_LENGTH } from "../crypto/primitives.ts";
import { isCanonicalDomain } from "./domain.ts";
import { serialFromWire } from "./domain-authorization.ts";
import { type CompositeKeyPair, domainKeyHash } from "./domain-key.ts";
import { ProtocolError } from "./errors.ts";
import { MAX_DOMAIN_KEY_ROTATIONS } from "./limits.ts";
import { decodeCanonical, sameBytes } from "./strict-message.ts";

/** Version of the body that this code builds and reads. */
export const DOMAIN_KEY_ROTATION_VERSION = 1;

/** A rotation that was read strictly. */
export interface ParsedRotation {
  /** Canonical domain. */
  readonly domain: string;
  /** BLAKE3 of the old domain public key, 32 bytes. */
  readonly oldHash: Uint8Array;
  /** 1,984 bytes. */
  readonly newPublicKey: Uint8Array;
  /** BLAKE3 of the new domain public key, 32 bytes. */
  readonly newHash: Uint8Array;
  /** Serial of the first authorization under the new key. */
  readonly serial: number;
}

/** What a rotation is built from. */
export interface NewRotation {
  /** Canonical domain. */
  readonly domain: string;
  readonly oldKey: CompositeKeyPair;
  /** The new domain public key, 1,984 bytes. */
  readonly newPublicKey: Uint8Array;
  /** Higher than any serial under the old key. */
  readonly serial: number;
}

/**
 * Builds a rotation and signs it with the old key.
 *
 * @throws ProtocolError DOMAIN_ROTATION_INVALID for what every receiver would refuse, before anything is signed.
 */
export function buildRotation({ domain, oldKey, newPublicKey, serial }: NewRotation): DomainKeyRotation {
  if (!Number.isSafeInteger(serial) || serial < 1) throw invalid("serial is not from 1 to 2^53 - 1");
  const body = toBinary(
    DomainKeyRotationBodySchema,
    create(DomainKeyRotationBodySchema, {
      version: DOMAIN_KEY_ROTATION_VERSION,
      domain,
      oldHash: domainKeyHash(oldKey.publicKey),
      newPublicKey,
      serial: BigInt(serial),
    }),
  );
  parseRotationBody(body);
  return create(DomainKeyRotationSchema, {
    body,
    oldPublicKey: oldKey.publicKey,
    signature: composite.sign(oldKey.secretKey, body, SIGNATURE_CONTEXT.domainKeyRotation),
  });
}

/**
 * Reads a rotation and verifies it by its old key, which must have the hash that the body names.
 *
 * @throws ProtocolError DOMAIN_ROTATION_INVALID saying what is wrong.
 */
export function verifyRotation(rotation: DomainKeyRotation): ParsedRotation {
  const parsed = parseRotationBody(rotation.body);
  if (
    rotation.oldPublicKey.length !== COMPOSITE_PUBLIC_KEY_LENGTH ||
    !sameBytes(domainKeyHash(rotation.oldPublicKey), parsed.oldHash)
  ) {
    throw invalid("old_public_key is not the one that the body names");
  }
  const { oldPublicKey, body, signature } = rotation;
  if (!composite.verify(oldPublicKey, body, signature, SIGNATURE_CONTEXT.domainKeyRotation)) {
    throw invalid("signature does not verify by the old domain key");
  }
  return parsed;
}

/**
 * Reads and verifies a chain of rotations of `domain`, oldest first: each one follows the one before with a higher serial, and
 * the last one leads to `domainPublicKey`. An empty chain is one.
 *
 * @throws ProtocolError DOMAIN_ROTATION_INVALID.
 */
export function verifyRotations(
  rotations: readonly DomainKeyRotation[],
  domain: string,
  domainPublicKey: Uint8Array,
): readonly ParsedRotation[] {
  if (rotations.length > MAX_DOMAIN_KEY_ROTATIONS) {
    throw invalid(`there are more than ${MAX_DOMAIN_KEY_ROTATIONS}`);
  }
  const chain: ParsedRotation[] = [];
  for (const rotation of rotations) {
    const next = verifyRotation(rotation);
    const before = chain.at(-1);
    if (next.domain !== domain) throw invalid(`it is of ${next.domain}, not of ${domain}`);
    if (before && !sameBytes(before.newHash, next.oldHash))
      throw invalid("it does not follow the one before it");
    if (before && next.serial <= before.serial)
      throw invalid("its serial is not above that of the one before");
    chain.push(next);
  }
  const last = chain.at(-1);
  if (last && !sameBytes(last.newPublicKey, domainPublicKey))
    throw invalid("the last one does not lead to the domain key");
  return chain;
}

function parseRotationBody(body: Uint8Array): ParsedRotation {
  const message = decodeCanonical(
    DomainKeyRotationBodySchema,
    body,
    "DOMAIN_ROTATION_INVALID",
    "domain key rotation",
  );
  if (message.version !== DOMAIN_KEY_ROTATION_VERSION)
    throw invalid(`version ${message.version} is not known`);
  if (!isCanonicalDomain(message.domain)) throw invalid("domain is not in canonical form");
  if (message.oldHash.length !== BLAKE3_LENGTH) throw invalid(`old_hash is not ${BLAKE3_LENGTH} bytes`);
  if (message.newPublicKey.length !== COMPOSITE_PUBLIC_KEY_LENGTH) {
    throw invalid(`new_public_key is not ${COMPOSITE_PUBLIC_KEY_LENGTH} bytes`);
  }
  const newHash = domainKeyHash(message.newPublicKey);
  if (sameBytes(newHash, message.oldHash)) throw invalid("new key is the old one");
  const serial = serialFromWire(message.serial);
  if (serial === undefined) throw invalid("serial is not from 1 to 2^53 - 1");
  return {
    domain: message.domain,
    oldHash: message.oldHash,
    newPublicKey: message.newPublicKey,
    newHash,
    serial,
  };
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("DOMAIN_ROTATION_INVALID", `domain key rotation: ${message}`, {
    field: "rotations",
  });
}
