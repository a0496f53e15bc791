/**
 * SendShare (docs/protocol.md, section 6.3): takes an envelope of the caller. What the recipient's node would refuse for
 * sure is refused here, where the sender can still do something about it; the rest is the outbox's work.
 */

import type { MethodImpl } from "@connectrpc/connect";
import type { ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { envelopeRecord } from "../federation/inbound-delivery.ts";
import { parseAddress } from "../protocol/address.ts";
import { type ParsedEnvelope, parseEnvelope, verifyEnvelopeSignature } from "../protocol/envelope.ts";
import { parseKeySetBody } from "../protocol/key-set.ts";
import { countsForNewEnvelopes } from "../protocol/key-window.ts";
import { DELIVERY_WINDOW_MS, ENVELOPE_FUTURE_SKEW_MS } from "../protocol/limits.ts";
import { requireSession, type ServiceContext } from "./context.ts";
import { serviceError } from "./errors.ts";
import { domainSuspended, readField, requiredField } from "./fields.ts";
import { deliveryMessage } from "./share-messages.ts";

/** Makes the method. */
export function createShareSending(
  context: ServiceContext,
): MethodImpl<typeof ShareService.method.sendShare> {
  const { stores, clock, limits } = context;

  /** That the sender's set of that number still signs, and signed this. */
  async function requireSignature(envelope: ParsedEnvelope, now: number): Promise<void> {
    const { sender, senderKeyNumber } = envelope;
    const signing = await stores.keySets.get(sender, senderKeyNumber);
    if (signing.kind !== "found") {
      throw serviceError("KEY_SET_UNKNOWN", `envelope: ${sender} has no key set ${senderKeyNumber}`);
    }
    if (!countsForNewEnvelopes(signing, envelope.createdAt, now)) {
      const metadata = { active_number: String(signing.activeNumber) };
      const message = `envelope: key set ${senderKeyNumber} no longer signs, seal again with the active one`;
      throw serviceError("KEY_RETIRED", message, { metadata });
    }
    if (!verifyEnvelopeSignature(envelope, parseKeySetBody(signing.keySet.body).publicKeys)) {
      const message = `envelope: key set ${senderKeyNumber} did not sign it`;
      throw serviceError("ENVELOPE_INVALID", message, { field: "envelope" });
    }
  }

  return async (request, call) => {
    const { account } = requireSession(call);
    await context.spend("send", `account:${account.id}`);
    const sent = requiredField("envelope", request.envelope);
    const envelope = readField("envelope", () => parseEnvelope(sent, limits.maxEnvelopeBytes));
    if (envelope.sender !== account.address) {
      throw serviceError("SENDER_MISMATCH", "envelope: its sender is not the account that sends it");
    }
    const { domain } = parseAddress(account.address);
    const service = context.domains.service(domain);
    if (service === "suspended") throw domainSuspended(domain);
    if (service === "full") {
      throw serviceError(
        "QUOTA_EXCEEDED",
        `the storage of ${domain} is full: delete shares, then send again`,
      );
    }
    const now = clock();
    requireDates(envelope, now);
    await requireSignature(envelope, now);
    const queued = await stores.outbox.enqueue({
      accountId: account.id,
      envelope: envelopeRecord(envelope),
      recipientDomain: parseAddress(envelope.recipient).domain,
      stampNonce: envelope.stampNonce,
      now,
      maxStoredBytes: limits.maxAccountBytes,
      maxContacts: limits.maxContacts,
    });
    if (queued.kind === "over-quota") {
      throw serviceError("QUOTA_EXCEEDED", "the account's storage is full: delete shares, then send again");
    }
    if (queued.kind === "too-many-contacts") throw tooManyContacts(limits.maxContacts);
    if (queued.kind === "queued") context.wakeOutbox();
    return { shareId: envelope.shareId, delivery: deliveryMessage(queued.delivery) };
  };
}

/** RESOURCE_EXHAUSTED with QUOTA_EXCEEDED: each address that was sent to, accepted or blocked is a contact. */
export function tooManyContacts(most: number) {
  const message = `an account has at most ${most} contacts: forget some, then try again`;
  return serviceError("QUOTA_EXCEEDED", message);
}

/** Later than this the outbox would give up before its first attempt. */
function requireDates({ createdAt, expiresAt }: ParsedEnvelope, now: number): void {
  if (createdAt > now + ENVELOPE_FUTURE_SKEW_MS) {
    const message = "envelope: created_at lies more than 5 minutes ahead of this node's clock, set yours";
    throw serviceError("ENVELOPE_FUTURE_DATED", message);
  }
  if (createdAt + DELIVERY_WINDOW_MS <= now) {
    throw serviceError("ENVELOPE_EXPIRED", "envelope: created_at lies more than 3 days back, seal it again");
  }
  if (expiresAt !== 0 && expiresAt <= now) {
    throw serviceError("ENVELOPE_EXPIRED", "envelope: it has expired, seal it again");
  }
}
