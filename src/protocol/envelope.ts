/**
 * Envelopes (docs/protocol.md, sections 6.1 and 6.2): what a node may read of one, and its signature. Sealing and opening,
 * which need private keys, stand in seal.ts.
 */

import {
  type Envelope,
  type EnvelopeHeader,
  EnvelopeHeaderSchema,
} from "../../gen/keypears/v1/envelope_pb.ts";
import { concat, lp } from "../crypto/bytes.ts";
import { COMPOSITE_SIGNATURE_LENGTH, composite } from "../crypto/composite.ts";
import { CONTENT_KEY_COMMITMENT_LENGTH, CONTENT_NONCE_LENGTH } from "../crypto/content.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { WRAPPED_KEY_LENGTH } from "../crypto/key-wrap.ts";
import { MIN_PADDED_LENGTH } from "../crypto/padding.ts";
import {
  AES_256_GCM_TAG_LENGTH,
  ML_KEM_768_CIPHERTEXT_LENGTH,
  X25519_PUBLIC_KEY_LENGTH,
} from "../crypto/primitives.ts";
import { primitives } from "../crypto/select.ts";
import { isCanonicalAddress } from "./address.ts";
import { ProtocolError } from "./errors.ts";
import { type PublicKeys, verifyingKey } from "./key-set.ts";
import { ENVELOPE_MAX_LIFETIME_MS, MAX_ENVELOPE_BYTES, MAX_KEY_SET_NUMBER } from "./limits.ts";
import { decodeCanonical } from "./strict-message.ts";
import { timeFromWire } from "./time.ts";

/** Version of the envelope header that this code builds and reads. */
export const ENVELOPE_VERSION = 1;

/** An envelope that was read strictly. Says nothing about its signature. */
export interface ParsedEnvelope {
  /** BLAKE3(lp(header) ‖ ciphertext), 32 bytes, computed here. */
  readonly shareId: Uint8Array;
  /** Canonical. */
  readonly sender: string;
  readonly senderKeyNumber: number;
  /** Canonical. */
  readonly recipient: string;
  /** Number of the recipient's key set that it is sealed to. */
  readonly recipientKeyNumber: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix milliseconds; 0 if it does not expire. */
  readonly expiresAt: number;
  readonly header: EnvelopeHeader;
  readonly headerBytes: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly signature: Uint8Array;
  /** Undefined where there is no stamp. */
  readonly stampNonce: bigint | undefined;
}

/** The id of a share, 32 bytes. */
export function shareIdOf(headerBytes: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return primitives().blake3.hash(concat(lp(headerBytes), ciphertext));
}

/**
 * Reads an envelope: sizes, canonical header, version, addresses, wraps, dates; and computes its id.
 *
 * @throws ProtocolError ENVELOPE_TOO_LARGE when header, ciphertext and signature together exceed `maxBytes`;
 *   ENVELOPE_INVALID saying what is wrong.
 */
export function parseEnvelope(envelope: Envelope, maxBytes: number = MAX_ENVELOPE_BYTES): ParsedEnvelope {
  if (envelope.header.length + envelope.ciphertext.length + envelope.signature.length > maxBytes) {
    throw new ProtocolError("ENVELOPE_TOO_LARGE", `envelope is larger than ${maxBytes} bytes`, {
      field: "envelope",
    });
  }
  requireLength("signature", envelope.signature, COMPOSITE_SIGNATURE_LENGTH);
  if (envelope.ciphertext.length < MIN_PADDED_LENGTH + AES_256_GCM_TAG_LENGTH) {
    throw invalid("ciphertext is shorter than the shortest padded payload");
  }
  const header = decodeCanonical(
    EnvelopeHeaderSchema,
    envelope.header,
    "ENVELOPE_INVALID",
    "envelope header",
  );
  if (header.version !== ENVELOPE_VERSION) throw invalid(`version ${header.version} is not known`);
  requireAddress("sender", header.sender);
  requireAddress("recipient", header.recipient);
  requireKeyNumber("sender_key_number", header.senderKeyNumber);
  requireLength("content_nonce", header.contentNonce, CONTENT_NONCE_LENGTH);
  requireLength("content_key_commitment", header.contentKeyCommitment, CONTENT_KEY_COMMITMENT_LENGTH);
  const recipientKeyNumber = requireWraps(header);
  const { createdAt, expiresAt } = requireDates(header);
  return {
    shareId: shareIdOf(envelope.header, envelope.ciphertext),
    sender: header.sender,
    senderKeyNumber: header.senderKeyNumber,
    recipient: header.recipient,
    recipientKeyNumber,
    createdAt,
    expiresAt,
    header,
    headerBytes: envelope.header,
    ciphertext: envelope.ciphertext,
    signature: envelope.signature,
    stampNonce: envelope.stamp?.nonce,
  };
}

/** Whether the sender's set signed this envelope's id. */
export function verifyEnvelopeSignature(envelope: ParsedEnvelope, senderKeys: PublicKeys): boolean {
  return composite.verify(
    verifyingKey(senderKeys),
    envelope.shareId,
    envelope.signature,
    SIGNATURE_CONTEXT.share,
  );
}

/** Two wraps, the recipient's and the sender's; answers with the recipient's key number. */
function requireWraps(header: EnvelopeHeader): number {
  const [recipientWrap, senderWrap, ...more] = header.wraps;
  if (recipientWrap === undefined || senderWrap === undefined || more.length > 0) {
    throw invalid("there are not exactly two wraps");
  }
  if (recipientWrap.address !== header.recipient) throw invalid("the first wrap is not the recipient's");
  if (senderWrap.address !== header.sender) throw invalid("the second wrap is not the sender's");
  if (senderWrap.keyNumber !== header.senderKeyNumber) {
    throw invalid("the sender's wrap is not of sender_key_number");
  }
  for (const wrap of header.wraps) {
    requireKeyNumber("key_number", wrap.keyNumber);
    requireLength("x25519_ephemeral", wrap.x25519Ephemeral, X25519_PUBLIC_KEY_LENGTH);
    requireLength("ml_kem_ciphertext", wrap.mlKemCiphertext, ML_KEM_768_CIPHERTEXT_LENGTH);
    requireLength("wrapped_key", wrap.wrappedKey, WRAPPED_KEY_LENGTH);
  }
  return recipientWrap.keyNumber;
}

function requireDates(header: EnvelopeHeader): { createdAt: number; expiresAt: number } {
  const createdAt = timeFromWire(header.createdAt);
  const expiresAt = timeFromWire(header.expiresAt);
  if (createdAt === undefined || createdAt === 0) throw invalid("created_at is no time");
  if (expiresAt === undefined) throw invalid("expires_at is no time");
  if (expiresAt !== 0 && (expiresAt <= createdAt || expiresAt > createdAt + ENVELOPE_MAX_LIFETIME_MS)) {
    throw invalid("expires_at is not within a year after created_at");
  }
  return { createdAt, expiresAt };
}

function requireAddress(field: string, address: string): void {
  if (!isCanonicalAddress(address)) throw invalid(`${field} is not an address in canonical form`);
}

function requireKeyNumber(field: string, number: number): void {
  if (number < 1 || number > MAX_KEY_SET_NUMBER) throw invalid(`${field} is not from 1 to 100`);
}

function requireLength(field: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw invalid(`${field} is ${bytes.length} bytes, not ${length}`);
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("ENVELOPE_INVALID", `envelope: ${message}`, { field: "envelope" });
}
