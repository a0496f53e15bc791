/** What received and sent shares have in common: the columns of an envelope and of its sender's keys, and their records. */

import type { EnvelopeTable, SenderKeySetTable } from "./schema.ts";
import type { EnvelopeRecord, SenderKeySet } from "./stores.ts";

/** What opening a share takes beside its row: columns of its envelope's table and of its sender's key set's. */
export const OPENING_COLUMNS = [
  "header",
  "ciphertext",
  "signature",
  "hash",
  "body",
  "self_signature",
  "continuity_signature",
] as const;

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

/** The envelope of a row with {@link OPENING_COLUMNS}, and the keys that signed it. */
export function toOpening(row: EnvelopeColumns & Omit<EnvelopeTable, "id"> & SenderKeySetTable): {
  envelope: EnvelopeRecord;
  senderKeySet: SenderKeySet;
} {
  return {
    envelope: toEnvelopeRecord(row),
    senderKeySet: {
      hash: row.hash,
      body: row.body,
      selfSignature: row.self_signature,
      continuitySignature: row.continuity_signature,
    },
  };
}

/** What an envelope counts against a quota, in bytes. */
export function envelopeBytes(envelope: EnvelopeRecord): number {
  return envelope.header.length + envelope.ciphertext.length + envelope.signature.length;
}
