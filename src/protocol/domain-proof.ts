/**
 * Proofs (docs/protocol.md, section 2.1): a host signs an asker's nonce with a node key that the domain's owner authorized.
 * TLS says which machine answers; this says that the owner wants it to.
 */

import { create } from "@bufbuild/protobuf";
import {
  type DomainAuthorization,
  type DomainKeyRotation,
  type DomainProof,
  DomainProofSchema,
} from "../../gen/keypears/v1/domain_pb.ts";
import { concat, lp, u64 } from "../crypto/bytes.ts";
import { composite } from "../crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { requireLength } from "../crypto/errors.ts";
import type { ApiUrlOptions } from "./api-url.ts";
import { type ParsedAuthorization, parseAuthorizationBody } from "./domain-authorization.ts";
import type { CompositeKeyPair } from "./domain-key.ts";
import { ProtocolError } from "./errors.ts";
import { sameBytes } from "./strict-message.ts";

/** Length of the nonce of whoever asks for a proof, in bytes. */
export const DOMAIN_PROOF_NONCE_LENGTH = 32;

/** What a host has at hand to prove a domain. */
export interface HostedConsent {
  /** The domain public key, 1,984 bytes. */
  readonly domainPublicKey: Uint8Array;
  readonly authorization: DomainAuthorization;
  /** Oldest first; the last one leads to `domainPublicKey`. */
  readonly rotations?: readonly DomainKeyRotation[];
}

/**
 * The bytes that a proof's signature is over:
 * `lp(domain) || lp(api_url) || BLAKE3(authorization body) || nonce || u64(time)`.
 *
 * @throws CryptoError `wrong-length` unless the nonce is 32 bytes.
 */
export function domainProofMessage(
  { domain, apiUrl, bodyHash }: Pick<ParsedAuthorization, "domain" | "apiUrl" | "bodyHash">,
  nonce: Uint8Array,
  time: number,
): Uint8Array {
  requireLength("nonce", nonce, DOMAIN_PROOF_NONCE_LENGTH);
  return concat(lp(domain), lp(apiUrl), bodyHash, nonce, u64(time));
}

/**
 * Answers a nonce.
 *
 * @param nodeKey one of those that the authorization names.
 * @param time Unix milliseconds, by the host's clock.
 * @throws ProtocolError DOMAIN_AUTHORIZATION_INVALID; DOMAIN_UNPROVEN if the authorization does not name the node key.
 */
export function buildDomainProof(
  consent: HostedConsent,
  nodeKey: CompositeKeyPair,
  nonce: Uint8Array,
  time: number,
  options: ApiUrlOptions = {},
): DomainProof {
  const authorization = parseAuthorizationBody(consent.authorization.body, options);
  if (!authorization.nodePublicKeys.some((key) => sameBytes(key, nodeKey.publicKey))) {
    throw new ProtocolError("DOMAIN_UNPROVEN", "the owner's authorization does not name this node's key");
  }
  const message = domainProofMessage(authorization, nonce, time);
  return create(DomainProofSchema, {
    domainPublicKey: consent.domainPublicKey,
    authorization: consent.authorization,
    time: BigInt(time),
    nodePublicKey: nodeKey.publicKey,
    signature: composite.sign(nodeKey.secretKey, message, SIGNATURE_CONTEXT.domainProof),
    rotations: [...(consent.rotations ?? [])],
  });
}

/** Whether a proof's signature holds for this nonce by the node key that it names; that one must be authorized besides. */
export function verifyProofSignature(
  proof: Pick<DomainProof, "time" | "nodePublicKey" | "signature">,
  authorization: Pick<ParsedAuthorization, "domain" | "apiUrl" | "bodyHash">,
  nonce: Uint8Array,
): boolean {
  if (proof.time > BigInt(Number.MAX_SAFE_INTEGER)) return false;
  const message = domainProofMessage(authorization, nonce, Number(proof.time));
  return composite.verify(proof.nodePublicKey, message, proof.signature, SIGNATURE_CONTEXT.domainProof);
}
