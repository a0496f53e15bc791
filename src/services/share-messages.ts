/** Shares as their owners see them: the stores' records as messages of the contract. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import type { KeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  DeliveryState,
  type DeliveryStatusSchema,
  type RejectionReason,
  type ShareSummarySchema,
} from "../../gen/keypears/v1/share_service_pb.ts";
import type {
  DeliveryRecord,
  EnvelopeRecord,
  ReceivedShareRecord,
  SenderKeySet,
  SentShareRecord,
} from "../storage/stores.ts";

/** A received share without its bytes. */
export function receivedSummary(share: ReceivedShareRecord): MessageInitShape<typeof ShareSummarySchema> {
  return {
    shareId: share.shareId,
    sender: share.sender,
    recipient: share.recipient,
    senderKeyNumber: share.senderKeyNumber,
    senderKeySetHash: share.senderKeySetHash,
    createdAt: BigInt(share.createdAt),
    expiresAt: BigInt(share.expiresAt),
    ciphertextBytes: share.ciphertextBytes,
    sequence: BigInt(share.sequence),
    receivedAt: BigInt(share.receivedAt),
    openedAt: BigInt(share.openedAt),
  };
}

/** A sent share without its bytes. */
export function sentSummary(share: SentShareRecord): MessageInitShape<typeof ShareSummarySchema> {
  return {
    shareId: share.shareId,
    sender: share.sender,
    recipient: share.recipient,
    senderKeyNumber: share.senderKeyNumber,
    createdAt: BigInt(share.createdAt),
    expiresAt: BigInt(share.expiresAt),
    ciphertextBytes: share.ciphertextBytes,
    receivedAt: BigInt(share.sentAt),
    delivery: deliveryMessage(share.delivery),
  };
}

/** How a delivery stands. */
export function deliveryMessage(delivery: DeliveryRecord): MessageInitShape<typeof DeliveryStatusSchema> {
  return {
    state: DeliveryState[delivery.state],
    rejectionReason: delivery.rejectionReason as RejectionReason,
    message: delivery.message,
    attempts: delivery.attempts,
    nextAttemptAt: BigInt(delivery.nextAttemptAt),
    updatedAt: BigInt(delivery.updatedAt),
  };
}

/** A share's envelope, without the stamp. */
export function envelopeMessage(envelope: EnvelopeRecord): MessageInitShape<typeof EnvelopeSchema> {
  const { header, ciphertext, signature } = envelope;
  return { header, ciphertext, signature };
}

/** The sender's key set that is kept beside a share. */
export function senderKeySetMessage(keySet: SenderKeySet): MessageInitShape<typeof KeySetSchema> {
  const { body, selfSignature, continuitySignature } = keySet;
  return { body, selfSignature, continuitySignature };
}
