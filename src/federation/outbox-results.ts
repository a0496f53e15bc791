/**
 * What a peer's answers mean for the shares (docs/protocol.md, section 6.3), in the words that their senders read: what ended
 * a delivery, or why it is tried again and when.
 */

import { create } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema, StampSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcome, type DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { DELIVERY_WINDOW_MS } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { DeliveryUpdate, EnvelopeRecord, LeasedDelivery } from "../storage/stores.ts";
import { backoff } from "./backoff.ts";
import { PeerError } from "./errors.ts";

/** When an attempt ended, and where chance comes from. */
export interface AttemptEnd {
  readonly now: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

const MAX_RETRY_AFTER_MS = 3_600_000;

/** The envelope as it travels. */
export function toEnvelope({ envelope, stampNonce }: LeasedDelivery): Envelope {
  const { header, ciphertext, signature } = envelope;
  const message = create(EnvelopeSchema, { header, ciphertext, signature });
  if (stampNonce !== undefined) message.stamp = create(StampSchema, { nonce: stampNonce });
  return message;
}

/** Its size in bytes. */
export function envelopeSize({ envelope: { header, ciphertext, signature } }: LeasedDelivery): number {
  return header.length + ciphertext.length + signature.length;
}

/** What ends a delivery before it is attempted, if something does: its time is over, or the peer takes none so large. */
export function endsUntried(
  one: LeasedDelivery,
  now: number,
  maxEnvelopeBytes: number,
): DeliveryUpdate | undefined {
  if (now >= deadlineOf(one.envelope)) return tooLate(one.message);
  if (envelopeSize(one) <= maxEnvelopeBytes) return undefined;
  const message = `the recipient's node takes at most ${maxEnvelopeBytes} bytes`;
  return { kind: "rejected", reason: RejectionReason.TOO_LARGE, message };
}

/** What the answer to an envelope means. */
export function updateAfterAnswer(
  one: LeasedDelivery,
  result: DeliveryResult | undefined,
  end: AttemptEnd,
): DeliveryUpdate {
  if (result === undefined || !decides(result, one.envelope)) {
    const message = printable(result?.message ?? "") || unexplained(result);
    return retryOrFail(one, { message, retryAfterMs: result?.retryAfterMs }, end);
  }
  return result.outcome === DeliveryOutcome.REJECTED
    ? { kind: "rejected", reason: result.rejectionReason, message: printable(result.message) }
    : { kind: "delivered" };
}

/** What it means that a batch failed as a whole. */
export function updateAfterFailure(one: LeasedDelivery, error: unknown, end: AttemptEnd): DeliveryUpdate {
  const retryAfterMs = error instanceof PeerError ? error.retryAfterMs : undefined;
  return retryOrFail(one, { message: describeFailure(error), retryAfterMs }, end);
}

/** A failure in words for the sender. */
export function describeFailure(error: unknown): string {
  return error instanceof PeerError ? error.message : "the delivery failed inside this node";
}

/** Until when an envelope may be delivered, in Unix milliseconds. */
function deadlineOf(envelope: EnvelopeRecord): number {
  const window = envelope.createdAt + DELIVERY_WINDOW_MS;
  return envelope.expiresAt === 0 ? window : Math.min(window, envelope.expiresAt);
}

/**
 * Whether a result ends a delivery. It has to name the share: a peer that mixes up its answers must not make one share pass
 * for another. Only what was too malformed to have an id is refused without one.
 */
function decides({ outcome, shareId }: DeliveryResult, envelope: EnvelopeRecord): boolean {
  switch (outcome) {
    case DeliveryOutcome.ACCEPTED:
    case DeliveryOutcome.DUPLICATE:
      return sameBytes(shareId, envelope.shareId);
    case DeliveryOutcome.REJECTED:
      return shareId.length === 0 || sameBytes(shareId, envelope.shareId);
    default:
      return false;
  }
}

function unexplained(result: DeliveryResult | undefined): string {
  return result?.outcome === DeliveryOutcome.RETRY_LATER
    ? "the recipient's node asks to try again later"
    : "the answer leaves open what became of the share";
}

function retryOrFail(
  one: LeasedDelivery,
  { message, retryAfterMs = 0 }: { readonly message: string; readonly retryAfterMs: number | undefined },
  { now, random }: AttemptEnd,
): DeliveryUpdate {
  const deadline = deadlineOf(one.envelope);
  if (now >= deadline) return tooLate(message);
  const wait = Math.max(backoff(one.attempts + 1, random), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS));
  return { kind: "retry", nextAttemptAt: Math.min(now + wait, deadline), message };
}

/** The end, with what stood in the way the last time. */
function tooLate(lastMessage: string): DeliveryUpdate {
  return {
    kind: "failed",
    message: lastMessage === "" ? "not delivered in time" : `not delivered in time: ${lastMessage}`,
  };
}

/** A peer's words, as they are shown to the sender: one line of printable text, at most 300 characters. */
function printable(message: string): string {
  return message.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 300);
}
