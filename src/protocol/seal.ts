/**
 * Sealing a share and opening one (docs/protocol.md, section 6.2), on the clients that hold the private keys.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Envelope,
  EnvelopeHeaderSchema,
  EnvelopeSchema,
  type KeyWrap,
  KeyWrapSchema,
} from "../../gen/keypears/v1/envelope_pb.ts";
import { randomBytes, wipe } from "../crypto/bytes.ts";
import { composite } from "../crypto/composite.ts";
import {
  CONTENT_NONCE_LENGTH,
  contentKeyCommitment,
  generateContentKey,
  matchesContentKeyCommitment,
  openContent,
  sealContent,
} from "../crypto/content.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { CryptoError } from "../crypto/errors.ts";
import { type KeyWrapContext, unwrapContentKey, wrapContentKey } from "../crypto/key-wrap.ts";
import {
  ENVELOPE_VERSION,
  type ParsedEnvelope,
  parseEnvelope,
  shareIdOf,
  verifyEnvelopeSignature,
} from "./envelope.ts";
import { ProtocolError } from "./errors.ts";
import { type ParsedKeySet, type PrivateSeeds, type PublicKeys, signingKey } from "./key-set.ts";
import { decodePayload, encodePayload, type ShareContent } from "./payload.ts";

/** What an envelope is made from. */
export interface NewEnvelope {
  readonly content: ShareContent;
  /** The sender's active set, and its seeds. */
  readonly sender: { readonly keySet: ParsedKeySet; readonly seeds: PrivateSeeds };
  /** The recipient's active set, verified. */
  readonly recipient: ParsedKeySet;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix milliseconds, at most a year after `createdAt`; 0 for a share that does not expire. */
  readonly expiresAt: number;
}

/** A sealed share. */
export interface SealedShare {
  readonly envelope: Envelope;
  /** 32 bytes. */
  readonly shareId: Uint8Array;
}

/**
 * Seals content for a recipient, with a copy for the sender, and signs it.
 *
 * @throws ProtocolError PAYLOAD_TOO_LARGE or PAYLOAD_INVALID for the content; ENVELOPE_INVALID for an expiry that every
 *   receiver would refuse.
 */
export function sealShare(input: NewEnvelope): SealedShare {
  const { sender, recipient } = input;
  const contentKey = generateContentKey();
  const payload = encodePayload(input.content);
  try {
    const wrapTo = (keySet: ParsedKeySet): KeyWrap => {
      const wrapped = wrapContentKey(contentKey, keySet.publicKeys, {
        sender: sender.keySet.address,
        senderKeyNumber: sender.keySet.number,
        wrapAddress: keySet.address,
        wrapKeyNumber: keySet.number,
      });
      return create(KeyWrapSchema, { address: keySet.address, keyNumber: keySet.number, ...wrapped });
    };
    const contentNonce = randomBytes(CONTENT_NONCE_LENGTH);
    const header = toBinary(
      EnvelopeHeaderSchema,
      create(EnvelopeHeaderSchema, {
        version: ENVELOPE_VERSION,
        sender: sender.keySet.address,
        senderKeyNumber: sender.keySet.number,
        recipient: recipient.address,
        createdAt: BigInt(input.createdAt),
        expiresAt: BigInt(input.expiresAt),
        contentNonce,
        contentKeyCommitment: contentKeyCommitment(contentKey),
        wraps: [wrapTo(recipient), wrapTo(sender.keySet)],
      }),
    );
    const ciphertext = sealContent(contentKey, contentNonce, payload, header);
    const signature = sign(sender.seeds, shareIdOf(header, ciphertext));
    const envelope = create(EnvelopeSchema, { header, ciphertext, signature });
    return { envelope, shareId: parseEnvelope(envelope).shareId };
  } finally {
    wipe(contentKey, payload);
  }
}

/** Who opens an envelope: the recipient, or the sender that keeps a copy. */
export interface Opener {
  readonly role: "recipient" | "sender";
  /** Seeds of the set that the role's wrap names. */
  readonly seeds: PrivateSeeds;
}

/**
 * Opens an envelope that was read by `parseEnvelope`: the signature under the sender's set of that number, expiry, unwrap,
 * commitment, decryption, in this order.
 *
 * @param senderKeys the signing keys of the sender's set of the envelope's `senderKeyNumber`, trusted by the caller.
 * @param now Unix milliseconds.
 * @throws ProtocolError SHARE_SIGNATURE_INVALID, or SHARE_NOT_OPENED for anything after the signature, without saying what.
 */
export function openShare(
  envelope: ParsedEnvelope,
  senderKeys: PublicKeys,
  opener: Opener,
  now: number,
): ShareContent {
  if (!verifyEnvelopeSignature(envelope, senderKeys)) {
    throw new ProtocolError("SHARE_SIGNATURE_INVALID", "the sender's keys did not sign this share");
  }
  if (envelope.expiresAt !== 0 && envelope.expiresAt <= now) throw notOpened();
  const wrap = envelope.header.wraps[opener.role === "recipient" ? 0 : 1];
  if (!wrap) throw notOpened();
  const context: KeyWrapContext = {
    sender: envelope.sender,
    senderKeyNumber: envelope.senderKeyNumber,
    wrapAddress: wrap.address,
    wrapKeyNumber: wrap.keyNumber,
  };
  try {
    const contentKey = unwrapContentKey(wrap, opener.seeds, context);
    try {
      if (!matchesContentKeyCommitment(contentKey, envelope.header.contentKeyCommitment)) throw notOpened();
      const { contentNonce } = envelope.header;
      return decodePayload(openContent(contentKey, contentNonce, envelope.ciphertext, envelope.headerBytes));
    } finally {
      wipe(contentKey);
    }
  } catch (error) {
    if (error instanceof CryptoError || error instanceof ProtocolError) throw notOpened();
    throw error;
  }
}

function sign(seeds: PrivateSeeds, shareId: Uint8Array): Uint8Array {
  const key = signingKey(seeds);
  try {
    return composite.sign(key, shareId, SIGNATURE_CONTEXT.share);
  } finally {
    wipe(key);
  }
}

/** One error for everything after the signature, so that nobody learns from it which step failed. */
function notOpened(): ProtocolError {
  return new ProtocolError(
    "SHARE_NOT_OPENED",
    "the share has expired, or was not sealed to these keys as it stands",
  );
}
