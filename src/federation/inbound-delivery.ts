/** An envelope on its way through inbound delivery, and what its parts are to the store. */

import type { DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import type { ParsedEnvelope } from "../protocol/envelope.ts";
import type { ContactStateName, EnvelopeRecord } from "../storage/stores.ts";
import type { SenderKeys } from "./sender-keys.ts";

/** Who carries a batch. It says nothing about who sent what is in it. */
export interface Carrier {
  /** /24 or /56 that it comes from; "local" for this node's own outbox. */
  readonly prefix: string;
  /** Identifies the connection. */
  readonly connectionId: string;
}

/** An envelope that waits for its decision. */
export interface Delivery {
  readonly envelope: ParsedEnvelope;
  readonly carrier: Carrier;
  /** Those that came together. */
  readonly batch: object;
  /** Aborted when nobody waits for the decision any more. */
  readonly signal: AbortSignal | undefined;
  /** Answers it. */
  readonly settle: (result: DeliveryResult) => void;
  /** Gives up on its whole batch. */
  readonly fail: (error: unknown) => void;
  /** Set when it comes back with its sender's keys, which had to be fetched: everything that is cheap it has passed. */
  verifiable?: { readonly screened: Screened; readonly keys: SenderKeys };
}

/** What is known of an envelope that passed everything that is cheap. */
export interface Screened {
  /** The recipient. */
  readonly accountId: number;
  readonly contact: ContactStateName;
  readonly stamped: boolean;
}

/** The envelope as its store keeps it. */
export function envelopeRecord(envelope: ParsedEnvelope): EnvelopeRecord {
  const { shareId, sender, senderKeyNumber, recipient, createdAt, expiresAt, ciphertext, signature } =
    envelope;
  return {
    shareId,
    sender,
    senderKeyNumber,
    recipient,
    createdAt,
    expiresAt,
    header: envelope.headerBytes,
    ciphertext,
    signature,
  };
}

/** The domain of a canonical address. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}
