/** What received and sent shares have in common: the columns of an envelope, and the record that they make. */

import type { EnvelopeTable } from "./schema.ts";
import type { EnvelopeRecord } from "./stores.ts";

/** Columns of a share's row that describe its envelope. */
export interface EnvelopeColumns {
  readonly share_id: Uint8Array;
  readonly sender: string;
  readonly sender_key_number: number;
  readonly recipient: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly ciphertext_bytes: number;
}

/** Those columns for an envelope. */
export function toEnvelopeColumns(envelope: EnvelopeRecord): EnvelopeColumns {
  return {
    share_id: envelope.shareId,
    sender: envelope.sender,
    sender_key_number: envelope.senderKeyNumber,
    recipient: envelope.recipient,
    created_at: envelope.createdAt,
    expires_at: envelope.expiresAt,
    ciphertext_bytes: envelope.ciphertext.length,
  };
}

/** The envelope of a row and its bytes. */
export function toEnvelopeRecord(row: EnvelopeColumns & Omit<EnvelopeTable, "id">): EnvelopeRecord {
  return {
    shareId: row.share_id,
    sender: row.sender,
    senderKeyNumber: row.sender_key_number,
    recipient: row.recipient,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    header: row.header,
    ciphertext: row.ciphertext,
    signature: row.signature,
  };
}

/** What an envelope counts against a quota, in bytes. */
export function envelopeBytes(envelope: EnvelopeRecord): number {
  return envelope.header.length + envelope.ciphertext.length + envelope.signature.length;
}
