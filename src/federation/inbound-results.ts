/** Answers to delivered envelopes (docs/protocol.md, section 6.3), in the words that the carrier and the sender read. */

import { create } from "@bufbuild/protobuf";
import {
  DeliveryOutcome,
  type DeliveryResult,
  DeliveryResultSchema,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import type { AcceptanceResult } from "../storage/stores.ts";

/** The share id of an envelope that was not read. */
export const NO_SHARE_ID = new Uint8Array();

/** What the store made of a verified envelope. */
export function stored(shareId: Uint8Array, result: AcceptanceResult): DeliveryResult {
  switch (result.kind) {
    case "accepted":
      return create(DeliveryResultSchema, { shareId, outcome: DeliveryOutcome.ACCEPTED });
    case "duplicate":
      return duplicate(shareId);
    case "over-quota":
      return rejected(shareId, RejectionReason.QUOTA, "the recipient's quota is used up");
    case "too-many-first-contacts":
      return rejected(shareId, RejectionReason.QUOTA, "too many first contacts from this domain today");
    case "recipient-gone":
      return unknownRecipient(shareId);
  }
}

/** Stored before: a success. */
export function duplicate(shareId: Uint8Array): DeliveryResult {
  return create(DeliveryResultSchema, { shareId, outcome: DeliveryOutcome.DUPLICATE });
}

/** No account has this address. */
export function unknownRecipient(shareId: Uint8Array): DeliveryResult {
  return rejected(shareId, RejectionReason.UNKNOWN_RECIPIENT, "there is no such address here");
}

/** A key set does not count any more; `how` it was used: "signed by" or "sealed to". */
export function keyRetired(shareId: Uint8Array, how: string): DeliveryResult {
  return rejected(shareId, RejectionReason.KEY_RETIRED, `${how} a key set that is not in use: seal it again`);
}

/** Not signed by whom it names. */
export function badSignature(shareId: Uint8Array): DeliveryResult {
  return rejected(shareId, RejectionReason.BAD_SIGNATURE, "no key set of the sender's signed this envelope");
}

/** Refused for good. */
export function rejected(
  shareId: Uint8Array,
  rejectionReason: RejectionReason,
  message: string,
): DeliveryResult {
  return create(DeliveryResultSchema, {
    shareId,
    outcome: DeliveryOutcome.REJECTED,
    rejectionReason,
    message,
  });
}

/** Not decided; to be delivered again after `retryAfterMs` milliseconds. */
export function retryLater(shareId: Uint8Array, message: string, retryAfterMs: number): DeliveryResult {
  return create(DeliveryResultSchema, {
    shareId,
    outcome: DeliveryOutcome.RETRY_LATER,
    message,
    retryAfterMs,
  });
}
