/**
 * How a group of delivered envelopes is decided (docs/protocol.md, sections 6.3 and 6.4): one look into the database, the
 * signatures on all cores, one transaction. Whoever's keys have to be fetched first steps aside, so that a sender's silent
 * domain holds up nobody else, and comes back when they are there.
 *
 * Whoever cannot sign for a sender must not learn what the recipient thinks of that sender: until the signature has been
 * verified, an envelope without a stamp is answered STAMP_REQUIRED whether the two know each other or not.
 */

import type { DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { composite } from "../crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { stampKey, verifyStamp } from "../crypto/stamp.ts";
import type { ParsedEnvelope } from "../protocol/envelope.ts";
import { countsForNewEnvelopes } from "../protocol/key-window.ts";
import { ENVELOPE_FUTURE_SKEW_MS, ENVELOPE_MAX_AGE_MS, TOMBSTONE_MS } from "../protocol/limits.ts";
import type { Acceptance, AcceptanceResult, DeliveryFacts } from "../storage/stores.ts";
import type { FairGroups } from "./fair-groups.ts";
import type { InboundOptions } from "./inbound.ts";
import { type Delivery, domainOf, envelopeRecord, type Screened } from "./inbound-delivery.ts";
import {
  badSignature,
  duplicate,
  keyRetired,
  rejected,
  retryLater,
  stored,
  unknownRecipient,
} from "./inbound-results.ts";
import type { SenderKeys } from "./sender-keys.ts";

/** What a failed signature costs the carrier's budget, in envelopes. */
const FAILED_SIGNATURE_POINTS = 50;
/** What asking for an address that does not exist costs: as much as makes it no faster than looking addresses up. */
const UNKNOWN_RECIPIENT_POINTS = 20;

/** Nobody knows when a suspension will be lifted. */
const SUSPENDED_RETRY_MS = 60 * 60 * 1_000;

/** A delivery that only its signature and the store can still refuse. */
interface Verifiable {
  readonly delivery: Delivery;
  readonly screened: Screened;
  readonly keys: SenderKeys;
}

/** Makes what decides a group; what has to come again is put back among the `groups`. Never rejects. */
export function createDecisions(
  options: InboundOptions,
  groups: FairGroups<Delivery>,
): (group: readonly Delivery[]) => Promise<void> {
  const { clock, log, stores, senderKeys } = options;
  /** Resolves when the group that began last has been handed to the store. */
  let lastHanded: Promise<void> = Promise.resolve();

  return async (group) => {
    const before = lastHanded;
    const handed = Promise.withResolvers<void>();
    lastHanded = handed.promise;
    const wanted = group.filter(({ signal, fail }) => {
      if (signal?.aborted) fail(signal.reason);
      return signal?.aborted !== true;
    });
    try {
      const back = wanted.flatMap(toVerifiable);
      const screened = await screen(wanted.filter(({ verifiable }) => verifiable === undefined));
      const authentic = await authenticate([...back, ...screened]);
      // What came first is stored first.
      await before;
      const storing = store(authentic);
      handed.resolve();
      await storing;
    } catch (error) {
      for (const { fail } of wanted) fail(error);
    } finally {
      handed.resolve();
    }
  };

  /** Everything that costs no signature and no network. Answers with those whose senders' keys are known. */
  async function screen(deliveries: readonly Delivery[]): Promise<readonly Verifiable[]> {
    const timely = deliveries.filter(({ envelope, settle }) => {
      const refusal = checkDates(envelope, clock());
      if (refusal !== undefined) settle(refusal);
      return refusal === undefined;
    });
    const facts = await stores.received.deliveryFacts(timely.map(({ envelope }) => envelope));
    const screened: (readonly [Delivery, Screened])[] = [];
    for (const [index, delivery] of timely.entries()) {
      const judged = await judge(delivery, facts[index]);
      if ("outcome" in judged) delivery.settle(judged);
      else screened.push([delivery, judged]);
    }
    return findKeys(screened);
  }

  async function judge(
    delivery: Delivery,
    facts: DeliveryFacts | undefined,
  ): Promise<Screened | DeliveryResult> {
    const { envelope } = delivery;
    const { shareId } = envelope;
    if (facts === undefined) {
      await charge(delivery, UNKNOWN_RECIPIENT_POINTS);
      return unknownRecipient(shareId);
    }
    if (facts.isKnown) return duplicate(shareId);
    if (facts.suspended) {
      return retryLater(shareId, "the recipient's account is suspended for now", SUSPENDED_RETRY_MS);
    }
    if (!facts.sealedTo || !countsForNewEnvelopes(facts.sealedTo, envelope.createdAt, clock())) {
      return keyRetired(shareId, "sealed to");
    }
    const contact = envelope.sender === envelope.recipient ? "ACCEPTED" : facts.contact;
    const stamped = hasStamp(envelope, options.firstContactDifficulty);
    if (!stamped && contact !== "ACCEPTED") return stampRequired(shareId);
    const wait = await options.draw("delivery-recipient", envelope.recipient, 1);
    if (wait > 0) return retryLater(shareId, "too many deliveries to this address", wait);
    return { accountId: facts.accountId, contact, stamped };
  }

  /** Gives those their senders' keys whose keys are known, and sends the others for theirs. */
  function findKeys(screened: readonly (readonly [Delivery, Screened])[]): readonly Verifiable[] {
    const verifiables: Verifiable[] = [];
    const lacking: (readonly [Delivery, Screened])[] = [];
    for (const one of screened) {
      const [delivery, known] = one;
      const keys = senderKeys.known(delivery.envelope.sender, delivery.envelope.senderKeyNumber);
      if (keys === undefined) lacking.push(one);
      else verifiables.push({ delivery, screened: known, keys });
    }
    const bySender = Map.groupBy(lacking, ([{ envelope, carrier }]) =>
      JSON.stringify([envelope.sender, envelope.senderKeyNumber, carrier.connectionId]),
    );
    for (const sameSender of bySender.values()) {
      fetchKeys(sameSender).catch((error: unknown) => {
        for (const [{ fail }] of sameSender) fail(error);
      });
    }
    return verifiables;
  }

  /** Asks for a sender's keys, and puts what it sent back among the groups when its domain has answered. */
  async function fetchKeys(sameSender: readonly (readonly [Delivery, Screened])[]): Promise<void> {
    const [first] = sameSender;
    if (first === undefined) return;
    const { envelope, carrier } = first[0];
    const looked = await senderKeys.get(envelope.sender, envelope.senderKeyNumber, carrier.connectionId);
    for (const [delivery, screened] of sameSender) {
      if (looked.kind === "found") delivery.verifiable = { screened, keys: looked.keys };
      else if (looked.kind === "unknown") await refuseSignature(delivery, screened);
      else delivery.settle(retryLater(delivery.envelope.shareId, looked.message, looked.retryAfterMs));
    }
    if (looked.kind === "found") {
      groups.add(
        carrier.prefix,
        sameSender.map(([delivery]) => delivery),
      );
    }
  }

  /** The signatures under the senders' keys, and what only a sender may know. */
  async function authenticate(verifiables: readonly Verifiable[]): Promise<readonly Verifiable[]> {
    const verdicts = await composite.verifyMany(
      verifiables.map(({ delivery: { envelope }, keys }) => ({
        publicKey: keys.verifyingKey,
        message: envelope.shareId,
        signature: envelope.signature,
        context: SIGNATURE_CONTEXT.share,
      })),
    );
    const authentic: Verifiable[] = [];
    for (const [index, verifiable] of verifiables.entries()) {
      const { delivery, screened } = verifiable;
      if (verdicts[index] !== true) {
        await refuseSignature(delivery, screened);
        continue;
      }
      const refusal = await admit(verifiable);
      if (refusal !== undefined) delivery.settle(refusal);
      else authentic.push(verifiable);
    }
    return authentic;
  }

  /** What refuses or puts off an envelope that its sender signed. */
  async function admit({ delivery, screened, keys }: Verifiable): Promise<DeliveryResult | undefined> {
    const { shareId, sender, createdAt } = delivery.envelope;
    if (!countsForNewEnvelopes(keys.succession, createdAt, clock())) return keyRetired(shareId, "signed by");
    if (screened.contact === "BLOCKED") {
      const message = "the recipient takes no shares from this sender";
      return rejected(shareId, RejectionReason.NOT_ACCEPTED, message);
    }
    const wait = await options.draw("delivery-sender-domain", domainOf(sender), 1);
    return wait > 0 ? retryLater(shareId, "too many deliveries from this domain", wait) : undefined;
  }

  async function store(verifiables: readonly Verifiable[]): Promise<void> {
    if (verifiables.length === 0) return;
    const now = clock();
    let results: readonly AcceptanceResult[];
    try {
      results = await stores.received.accept(verifiables.map((one) => acceptanceOf(one, options, now)));
    } catch (error) {
      await storeApart(verifiables, error);
      return;
    }
    const told = new Set<number>();
    for (const [index, { delivery, screened }] of verifiables.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error("the store answered for fewer envelopes than it was given");
      delivery.settle(stored(delivery.envelope.shareId, result));
      if (result.kind === "accepted") told.add(screened.accountId);
    }
    for (const accountId of told) options.onAccepted(accountId);
  }

  /** Each batch of a group by itself: whatever one has that no database takes is not to cost the others theirs. */
  async function storeApart(verifiables: readonly Verifiable[], error: unknown): Promise<void> {
    const batches = [...Map.groupBy(verifiables, ({ delivery }) => delivery.batch).values()];
    if (batches.length === 1) throw error;
    log.warn({ err: error, batches: batches.length }, "inbound: a group could not be stored as a whole");
    await Promise.all(
      batches.map((batch) =>
        store(batch).catch((failure: unknown) => {
          for (const { delivery } of batch) delivery.fail(failure);
        }),
      ),
    );
  }

  async function refuseSignature(delivery: Delivery, { stamped }: Screened): Promise<void> {
    const { shareId } = delivery.envelope;
    await charge(delivery, FAILED_SIGNATURE_POINTS);
    delivery.settle(stamped ? badSignature(shareId) : stampRequired(shareId));
  }

  /** Charges a carrier for what it brought. If that was all it had, what else it brought has to wait. */
  async function charge({ carrier }: Delivery, points: number): Promise<void> {
    const wait = await options.draw("delivery-source", carrier.prefix, points);
    if (wait === 0) return;
    for (const { envelope, settle } of groups.drop(carrier.prefix)) {
      settle(retryLater(envelope.shareId, "too many deliveries", wait));
    }
  }

  function stampRequired(shareId: Uint8Array): DeliveryResult {
    const message = `a first contact needs a stamp of difficulty ${options.firstContactDifficulty}`;
    return rejected(shareId, RejectionReason.STAMP_REQUIRED, message);
  }
}

function toVerifiable(delivery: Delivery): Verifiable[] {
  return delivery.verifiable === undefined ? [] : [{ delivery, ...delivery.verifiable }];
}

function checkDates(envelope: ParsedEnvelope, now: number): DeliveryResult | undefined {
  const { shareId, createdAt, expiresAt } = envelope;
  if (createdAt > now + ENVELOPE_FUTURE_SKEW_MS) {
    const message = "created_at lies more than 5 minutes ahead of this node's clock";
    return rejected(shareId, RejectionReason.FUTURE_DATED, message);
  }
  if (createdAt < now - ENVELOPE_MAX_AGE_MS) {
    return rejected(shareId, RejectionReason.EXPIRED, "created_at lies more than 7 days back");
  }
  if (expiresAt !== 0 && expiresAt <= now) {
    return rejected(shareId, RejectionReason.EXPIRED, "the envelope has expired");
  }
  return undefined;
}

function hasStamp(envelope: ParsedEnvelope, difficulty: number): boolean {
  if (difficulty <= 1) return true;
  if (envelope.stampNonce === undefined) return false;
  return verifyStamp(stampKey(envelope.shareId, envelope.recipient), envelope.stampNonce, difficulty);
}

function acceptanceOf(
  { delivery: { envelope }, screened, keys }: Verifiable,
  options: InboundOptions,
  now: number,
): Acceptance {
  return {
    accountId: screened.accountId,
    envelope: envelopeRecord(envelope),
    senderDomain: domainOf(envelope.sender),
    senderKeySet: keys.record,
    now,
    tombstoneUntil: envelope.createdAt + TOMBSTONE_MS,
    firstContact: screened.contact === "NONE",
    maxFirstContacts: options.maxFirstContactsPerDay,
    maxStoredBytes: options.maxAccountBytes,
  };
}
