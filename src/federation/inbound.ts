/**
 * What a node does with envelopes that are delivered to it (docs/protocol.md, sections 6.3 and 6.4), from other nodes and
 * from its own outbox alike. Cheap checks come first, then the sender's keys, then the signature, then one transaction for
 * what is left of the batch. Each envelope is answered on its own, and a refusal leaves no trace.
 */

import { create } from "@bufbuild/protobuf";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  DeliveryOutcome,
  type DeliveryResult,
  DeliveryResultSchema,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import type { Clock } from "../clock.ts";
import { stampKey, verifyStamp } from "../crypto/stamp.ts";
import type { Logger } from "../logger.ts";
import { parseAddress } from "../protocol/address.ts";
import { type ParsedEnvelope, parseEnvelope, verifyEnvelopeSignature } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { countsForNewEnvelopes } from "../protocol/key-window.ts";
import { ENVELOPE_FUTURE_SKEW_MS, ENVELOPE_MAX_AGE_MS, TOMBSTONE_MS } from "../protocol/limits.ts";
import type {
  Acceptance,
  AcceptanceResult,
  AccountRecord,
  ContactStateName,
  EnvelopeRecord,
  Stores,
} from "../storage/stores.ts";
import type { SenderKeyDirectory, SenderKeys } from "./sender-keys.ts";

/** Who carries a batch. It says nothing about who sent what is in it. */
export interface Carrier {
  /** /24 or /56 that it comes from; "local" for this node's own outbox. */
  readonly prefix: string;
  /** Identifies the connection. */
  readonly connectionId: string;
}

/** Takes envelopes for the accounts of this node. */
export interface Inbound {
  /**
   * Decides each envelope. Results in the order of the envelopes.
   *
   * @throws InboundError DOMAIN_NOT_HOSTED when a recipient's domain is not hosted here: the batch went to the wrong node,
   *   and nothing of it was looked at.
   */
  deliver(envelopes: readonly Envelope[], carrier: Carrier): Promise<DeliveryResult[]>;
}

/** The batch as a whole cannot be taken. */
export class InboundError extends Error {
  override readonly name = "InboundError";
  /** Machine-readable reason. */
  readonly reason = "DOMAIN_NOT_HOSTED";
}

/** Budgets of deliveries. The first two are drawn before a signature is verified, the third after it. */
export type DeliveryBudget = "delivery-source" | "delivery-recipient" | "delivery-sender-domain";

/** What inbound delivery works with. */
export interface InboundOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly stores: Pick<Stores, "accounts" | "received" | "contacts" | "keySets">;
  readonly senderKeys: SenderKeyDirectory;
  /** Canonical domains whose accounts live here. */
  readonly domains: ReadonlySet<string>;
  /** Difficulty of a first contact's stamp. */
  readonly firstContactDifficulty: number;
  readonly maxEnvelopeBytes: number;
  readonly maxAccountBytes: number;
  readonly maxFirstContactsPerDay: number;
  /** Takes points from a budget; answers with how long to wait in milliseconds, or 0 if they were there. */
  readonly draw: (budget: DeliveryBudget, key: string, points: number) => Promise<number>;
  /** Tells watchers that an account has new shares. */
  readonly onAccepted: (accountId: number) => void;
}

/** What a failed signature costs the carrier's budget, in envelopes. */
const FAILED_SIGNATURE_POINTS = 50;
/** What asking for an address that does not exist costs: as much as makes it no faster than looking addresses up. */
const UNKNOWN_RECIPIENT_POINTS = 20;
/** How long a carrier waits that has no better advice, in milliseconds. */
const RETRY_MS = 5_000;

/** An envelope that passed everything that is cheap. */
interface Candidate {
  readonly index: number;
  readonly envelope: ParsedEnvelope;
  readonly recipient: AccountRecord;
  readonly contact: ContactStateName;
  readonly stamped: boolean;
}

/**
 * Makes the pipeline.
 *
 * Whoever cannot sign for a sender must not learn what the recipient thinks of that sender: until the signature has been
 * verified, an envelope without a stamp is answered STAMP_REQUIRED whether the two know each other or not.
 */
export function createInbound(options: InboundOptions): Inbound {
  const { clock, stores, senderKeys } = options;

  /** Everything that costs no signature and no network. */
  async function screen(
    envelope: ParsedEnvelope,
    index: number,
    carrier: Carrier,
  ): Promise<Candidate | DeliveryResult> {
    const { shareId } = envelope;
    const dated = checkDates(envelope, clock());
    if (dated) return dated;
    const recipient = await stores.accounts.byAddress(envelope.recipient);
    if (!recipient) {
      await options.draw("delivery-source", carrier.prefix, UNKNOWN_RECIPIENT_POINTS);
      return rejected(shareId, RejectionReason.UNKNOWN_RECIPIENT, "there is no such address here");
    }
    if (await stores.received.isKnown(recipient.id, shareId)) return duplicate(shareId);
    const sealedTo = await stores.keySets.get(envelope.recipient, envelope.recipientKeyNumber);
    if (sealedTo.kind !== "found" || !countsForNewEnvelopes(sealedTo, envelope.createdAt, clock())) {
      return keyRetired(shareId, "sealed to");
    }
    const contact =
      envelope.sender === envelope.recipient
        ? "ACCEPTED"
        : await stores.contacts.state(recipient.id, envelope.sender);
    const stamped = hasStamp(envelope, options.firstContactDifficulty);
    if (!stamped && contact !== "ACCEPTED") return stampRequired(shareId);
    const wait = await options.draw("delivery-recipient", envelope.recipient, 1);
    return wait > 0
      ? retryLater(shareId, "too many deliveries to this address", wait)
      : { index, envelope, recipient, contact, stamped };
  }

  /** The signature under the sender's keys, and what only the sender may know. */
  async function authenticate(candidate: Candidate, carrier: Carrier): Promise<SenderKeys | DeliveryResult> {
    const { envelope, contact, stamped } = candidate;
    const { shareId } = envelope;
    const looked = await senderKeys.get(envelope.sender, envelope.senderKeyNumber, carrier.connectionId);
    if (looked.kind === "unavailable") return retryLater(shareId, looked.message, looked.retryAfterMs);
    if (looked.kind === "unknown" || !verifyEnvelopeSignature(envelope, looked.keys.keySet.publicKeys)) {
      await options.draw("delivery-source", carrier.prefix, FAILED_SIGNATURE_POINTS);
      return stamped ? badSignature(shareId) : stampRequired(shareId);
    }
    if (!countsForNewEnvelopes(looked.keys.succession, envelope.createdAt, clock())) {
      return keyRetired(shareId, "signed by");
    }
    if (contact === "BLOCKED") {
      return rejected(
        shareId,
        RejectionReason.NOT_ACCEPTED,
        "the recipient takes no shares from this sender",
      );
    }
    const wait = await options.draw("delivery-sender-domain", parseAddress(envelope.sender).domain, 1);
    return wait > 0 ? retryLater(shareId, "too many deliveries from this domain", wait) : looked.keys;
  }

  function stampRequired(shareId: Uint8Array): DeliveryResult {
    const message = `a first contact needs a stamp of difficulty ${options.firstContactDifficulty}`;
    return rejected(shareId, RejectionReason.STAMP_REQUIRED, message);
  }

  return {
    async deliver(envelopes, carrier) {
      const results = new Map<number, DeliveryResult>();
      const parsed: { index: number; envelope: ParsedEnvelope }[] = [];
      for (const [index, envelope] of envelopes.entries()) {
        const wait = await options.draw("delivery-source", carrier.prefix, 1);
        const outcome =
          wait > 0
            ? retryLater(new Uint8Array(), "too many deliveries", wait)
            : read(envelope, options.maxEnvelopeBytes);
        if (isResult(outcome)) results.set(index, outcome);
        else parsed.push({ index, envelope: outcome });
      }
      requireHosted(parsed, options.domains);

      const candidates: Candidate[] = [];
      for (const { index, envelope } of parsed) {
        const screened = await screen(envelope, index, carrier);
        if (isResult(screened)) results.set(index, screened);
        else candidates.push(screened);
      }
      // Side by side, so that one sender's silent domain does not hold up the others of the batch.
      const accepted: { candidate: Candidate; keys: SenderKeys }[] = [];
      await Promise.all(
        candidates.map(async (candidate) => {
          const keys = await authenticate(candidate, carrier);
          if (isResult(keys)) results.set(candidate.index, keys);
          else accepted.push({ candidate, keys });
        }),
      );
      accepted.sort((a, b) => a.candidate.index - b.candidate.index);

      const now = clock();
      const stored = await stores.received.accept(
        accepted.map(({ candidate, keys }) => acceptance(candidate, keys, options, now)),
      );
      for (const [position, { candidate }] of accepted.entries()) {
        const result = stored[position];
        if (result) results.set(candidate.index, answer(candidate.envelope.shareId, result));
        if (result?.kind === "accepted") options.onAccepted(candidate.recipient.id);
      }
      return envelopes.map(
        (_, index) => results.get(index) ?? retryLater(new Uint8Array(), "not decided", RETRY_MS),
      );
    },
  };
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

function read(envelope: Envelope, maxBytes: number): ParsedEnvelope | DeliveryResult {
  try {
    return parseEnvelope(envelope, maxBytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const reason =
      error.reason === "ENVELOPE_TOO_LARGE" ? RejectionReason.TOO_LARGE : RejectionReason.MALFORMED;
    return rejected(new Uint8Array(), reason, error.message);
  }
}

function requireHosted(parsed: readonly { envelope: ParsedEnvelope }[], domains: ReadonlySet<string>): void {
  for (const { envelope } of parsed) {
    const { domain } = parseAddress(envelope.recipient);
    if (!domains.has(domain)) throw new InboundError(`${domain} is not hosted here`);
  }
}

function checkDates(envelope: ParsedEnvelope, now: number): DeliveryResult | undefined {
  const { shareId, createdAt, expiresAt } = envelope;
  if (createdAt > now + ENVELOPE_FUTURE_SKEW_MS) {
    return rejected(
      shareId,
      RejectionReason.FUTURE_DATED,
      "created_at lies more than 5 minutes ahead of this node's clock",
    );
  }
  if (createdAt < now - ENVELOPE_MAX_AGE_MS) {
    return rejected(shareId, RejectionReason.EXPIRED, "created_at lies more than 7 days back");
  }
  if (expiresAt !== 0 && expiresAt <= now)
    return rejected(shareId, RejectionReason.EXPIRED, "the envelope has expired");
  return undefined;
}

function hasStamp(envelope: ParsedEnvelope, difficulty: number): boolean {
  if (difficulty <= 1) return true;
  if (envelope.stampNonce === undefined) return false;
  return verifyStamp(stampKey(envelope.shareId, envelope.recipient), envelope.stampNonce, difficulty);
}

function acceptance(
  candidate: Candidate,
  keys: SenderKeys,
  options: InboundOptions,
  now: number,
): Acceptance {
  const { envelope, recipient, contact } = candidate;
  return {
    accountId: recipient.id,
    envelope: envelopeRecord(envelope),
    senderDomain: parseAddress(envelope.sender).domain,
    senderKeySet: keys.record,
    now,
    tombstoneUntil: envelope.createdAt + TOMBSTONE_MS,
    firstContact: contact === "NONE",
    maxFirstContacts: options.maxFirstContactsPerDay,
    maxStoredBytes: options.maxAccountBytes,
  };
}

function answer(shareId: Uint8Array, result: AcceptanceResult): DeliveryResult {
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
      return rejected(shareId, RejectionReason.UNKNOWN_RECIPIENT, "there is no such address here");
  }
}

function keyRetired(shareId: Uint8Array, how: string): DeliveryResult {
  return rejected(shareId, RejectionReason.KEY_RETIRED, `${how} a key set that is not in use: seal it again`);
}

function badSignature(shareId: Uint8Array): DeliveryResult {
  return rejected(shareId, RejectionReason.BAD_SIGNATURE, "no key set of the sender's signed this envelope");
}

function duplicate(shareId: Uint8Array): DeliveryResult {
  return create(DeliveryResultSchema, { shareId, outcome: DeliveryOutcome.DUPLICATE });
}

function rejected(shareId: Uint8Array, rejectionReason: RejectionReason, message: string): DeliveryResult {
  return create(DeliveryResultSchema, {
    shareId,
    outcome: DeliveryOutcome.REJECTED,
    rejectionReason,
    message,
  });
}

function retryLater(shareId: Uint8Array, message: string, retryAfterMs: number): DeliveryResult {
  return create(DeliveryResultSchema, {
    shareId,
    outcome: DeliveryOutcome.RETRY_LATER,
    message,
    retryAfterMs,
  });
}

function isResult(value: object): value is DeliveryResult {
  return "outcome" in value;
}
