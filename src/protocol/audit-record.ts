/**
 * Records of the audit log (keypears/v1/audit.proto): what was done to a domain, each with the hash of the one before, so
 * that whoever has seen a hash can tell whether anything up to it was changed, left out or put in. Built by the store in the
 * transaction of the act itself, verified by whoever reads them.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AuditRecord,
  type AuditRecordBody,
  AuditRecordBodySchema,
} from "../../gen/keypears/v1/audit_pb.ts";
import { primitives } from "../crypto/select.ts";
import { ProtocolError } from "./errors.ts";
import { decodeCanonical, sameBytes } from "./strict-message.ts";

/** Version of the body that this code builds and reads. */
export const AUDIT_RECORD_VERSION = 1;

/** Something that was done. */
export interface AuditEvent {
  /** When, in Unix milliseconds. */
  readonly time: number;
  /** Address of who did it; empty where the node did it by itself. */
  readonly actor: string;
  readonly action: AuditAction;
  /** To whom or what. */
  readonly subject: string;
}

/** What can be done. */
export type AuditAction =
  | "claim.complete"
  | "claim.administrator"
  | "authorization.renew"
  | "domain.suspend"
  | "domain.restore"
  | "domain.registration"
  | "invitation.create"
  | "invitation.revoke"
  | "account.create"
  | "account.suspend"
  | "account.restore"
  | "account.remove";

/** Where a record goes: behind which one. */
export interface AuditPosition {
  /** 0 for none. */
  readonly sequence: number;
  /** 32 bytes; empty for none. */
  readonly hash: Uint8Array;
}

/** Before the first record of a domain. */
export const AUDIT_START: AuditPosition = { sequence: 0, hash: new Uint8Array() };

/** The record of an event, behind `previous`. */
export function buildAuditRecord(
  domain: string,
  previous: AuditPosition,
  { time, actor, action, subject }: AuditEvent,
): AuditPosition & { readonly body: Uint8Array } {
  const sequence = previous.sequence + 1;
  const body = toBinary(
    AuditRecordBodySchema,
    create(AuditRecordBodySchema, {
      version: AUDIT_RECORD_VERSION,
      domain,
      sequence: BigInt(sequence),
      previousHash: previous.hash,
      time: BigInt(time),
      actor,
      action,
      subject,
    }),
  );
  return { sequence, body, hash: primitives().blake3.hash(body) };
}

/**
 * Reads a record of `domain`'s log: canonical encoding, version, domain and hash.
 *
 * @throws ProtocolError AUDIT_RECORD_INVALID.
 */
export function readAuditRecord(record: Pick<AuditRecord, "body" | "hash">, domain: string): AuditRecordBody {
  const body = decodeCanonical(AuditRecordBodySchema, record.body, "AUDIT_RECORD_INVALID", "audit record");
  if (body.version !== AUDIT_RECORD_VERSION) throw invalid(`version ${body.version} is not known`);
  if (body.domain !== domain) throw invalid(`it is of ${body.domain}, not of ${domain}`);
  if (!sameBytes(primitives().blake3.hash(record.body), record.hash)) throw invalid("its hash is another");
  return body;
}

/**
 * That `older` stands right before `newer` in a log; without `older`, that `newer` is its first record.
 *
 * @throws ProtocolError AUDIT_RECORD_INVALID.
 */
export function requireAuditOrder(
  older: { readonly body: AuditRecordBody; readonly hash: Uint8Array } | undefined,
  newer: AuditRecordBody,
): void {
  const expected = (older?.body.sequence ?? 0n) + 1n;
  if (newer.sequence !== expected) {
    throw invalid(`record ${newer.sequence} stands where ${expected} belongs`);
  }
  if (!sameBytes(newer.previousHash, older?.hash ?? AUDIT_START.hash)) {
    throw invalid(`record ${newer.sequence} does not follow the one before it`);
  }
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("AUDIT_RECORD_INVALID", `audit log: ${message}`);
}
