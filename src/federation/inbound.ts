/**
 * What a node does with envelopes that are delivered to it (docs/protocol.md, sections 6.3 and 6.4), from other nodes and
 * from its own outbox alike: what is cheap first, then the sender's keys, then the signature, then the store. Envelopes of
 * whoever delivers at the same time are looked up, verified and committed together. Each is answered on its own, and a
 * refusal leaves no trace.
 */

import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import type { DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import type { Clock } from "../clock.ts";
import { yieldTurn } from "../crypto/yield-turn.ts";
import type { Logger } from "../logger.ts";
import { type ParsedEnvelope, parseEnvelope } from "../protocol/envelope.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Stores } from "../storage/stores.ts";
import { createFairGroups } from "./fair-groups.ts";
import type { HostedDomains } from "./hosted-domains.ts";
import { createDecisions } from "./inbound-decisions.ts";
import { type Carrier, type Delivery, domainOf } from "./inbound-delivery.ts";
import { NO_SHARE_ID, rejected, retryLater } from "./inbound-results.ts";
import { createRoom, type Size } from "./inbound-room.ts";
import type { SenderKeyDirectory } from "./sender-keys.ts";

/** Takes envelopes for the accounts of this node. */
export interface Inbound {
  /**
   * Decides each envelope, or puts all of them off where there is no room. Results in the order of the envelopes. What is
   * still undecided when the signal is aborted may stay so.
   *
   * @throws InboundError DOMAIN_NOT_HOSTED when a recipient's domain is not hosted here: the batch went to the wrong node,
   *   and nothing of it was looked at. The signal's reason. Whatever the database throws.
   */
  deliver(envelopes: readonly Envelope[], carrier: Carrier, signal?: AbortSignal): Promise<DeliveryResult[]>;
  /**
   * The same for whoever can hold back what comes next: waits for room, and then answers with what `deliver` would.
   *
   * @throws the signal's reason.
   */
  take(envelopes: readonly Envelope[], carrier: Carrier, signal: AbortSignal): Promise<TakenBatch>;
}

/** A batch for which there is room. */
export interface TakenBatch {
  /** Settles as `deliver` does. */
  readonly decided: Promise<DeliveryResult[]>;
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
  readonly stores: { readonly received: Pick<Stores["received"], "deliveryFacts" | "accept"> };
  readonly senderKeys: SenderKeyDirectory;
  /** Domains whose accounts live here. */
  readonly domains: HostedDomains;
  /** Difficulty of a first contact's stamp. */
  readonly firstContactDifficulty: number;
  readonly maxEnvelopeBytes: number;
  readonly maxAccountBytes: number;
  readonly maxFirstContactsPerDay: number;
  /** Takes points from a budget; answers with how long to wait in milliseconds, or 0 if they were there. */
  readonly draw: (budget: DeliveryBudget, key: string, points: number) => Promise<number>;
  /** Tells watchers that an account has new shares. */
  readonly onAccepted: (accountId: number) => void;
  /** What may be undecided at once. */
  readonly room?: Size;
}

/** A few seconds of work for two cores. */
const DEFAULT_ROOM: Size = { envelopes: 8_192, bytes: 64 * 1024 * 1024 };
const NO_ROOM_RETRY_MS = 1_000;
/** Within this time a suspended domain is checked again. */
const SUSPENDED_RETRY_MS = 60 * 60 * 1_000;
/** Large enough that a group's statements and its commit cost little per envelope, small enough to be done in 60 ms. */
const GROUP_ENVELOPES = 128;
/** One is looked up, one verified, one committed. */
const GROUPS_AT_ONCE = 3;
/** Envelopes that are read in one go: about a millisecond. */
const READ_AT_ONCE = 32;

/** Makes the pipeline. */
export function createInbound(options: InboundOptions): Inbound {
  const room = createRoom(options.room ?? DEFAULT_ROOM);
  const groups = createFairGroups<Delivery>({
    maxItems: GROUP_ENVELOPES,
    maxGroups: GROUPS_AT_ONCE,
    run: (group) => decideGroup(group),
  });
  const decideGroup = createDecisions(options, groups);

  /** Reads what the carrier's budget allows. @throws InboundError */
  async function read(
    envelopes: readonly Envelope[],
    carrier: Carrier,
  ): Promise<(ParsedEnvelope | DeliveryResult)[]> {
    const outcomes: (ParsedEnvelope | DeliveryResult)[] = [];
    for (const envelope of envelopes) {
      const wait = await options.draw("delivery-source", carrier.prefix, 1);
      outcomes.push(
        wait > 0
          ? retryLater(NO_SHARE_ID, "too many deliveries", wait)
          : readEnvelope(envelope, options.maxEnvelopeBytes),
      );
      if (outcomes.length % READ_AT_ONCE === 0) await yieldTurn();
    }
    return outcomes.map((outcome) => (isResult(outcome) ? outcome : admitted(outcome)));
  }

  /** The envelope, if its recipient's domain takes any. @throws InboundError */
  function admitted(envelope: ParsedEnvelope): ParsedEnvelope | DeliveryResult {
    const { recipient, shareId } = envelope;
    const domain = domainOf(recipient);
    switch (options.domains.service(domain)) {
      case undefined:
        throw new InboundError(`${domain} is not hosted here`);
      case "suspended":
        return retryLater(shareId, `${domain} is suspended here for now`, SUSPENDED_RETRY_MS);
      case "full":
        return rejected(shareId, RejectionReason.QUOTA, "the storage of the recipient's domain is used up");
      default:
        return envelope;
    }
  }

  async function decide(
    envelopes: readonly Envelope[],
    carrier: Carrier,
    signal: AbortSignal | undefined,
  ): Promise<DeliveryResult[]> {
    const outcomes = await read(envelopes, carrier);
    const batch = Promise.withResolvers<DeliveryResult[]>();
    const results: DeliveryResult[] = [];
    let undecided = outcomes.length;
    const settle = (index: number, result: DeliveryResult) => {
      results[index] = result;
      undecided -= 1;
      if (undecided === 0) batch.resolve(results);
    };
    const deliveries: Delivery[] = [];
    for (const [index, outcome] of outcomes.entries()) {
      if (isResult(outcome)) settle(index, outcome);
      else {
        deliveries.push({
          envelope: outcome,
          carrier,
          batch,
          signal,
          settle: (result) => settle(index, result),
          fail: batch.reject,
        });
      }
    }
    groups.add(carrier.prefix, deliveries);
    return batch.promise;
  }

  return {
    async deliver(envelopes, carrier, signal) {
      if (envelopes.length === 0) return [];
      const size = sizeOf(envelopes);
      if (!room.enter(carrier.prefix, size)) {
        const message = "this node has as much to decide as it can hold";
        return envelopes.map(() => retryLater(NO_SHARE_ID, message, NO_ROOM_RETRY_MS));
      }
      return decide(envelopes, carrier, signal).finally(() => room.leave(carrier.prefix, size));
    },

    async take(envelopes, carrier, signal) {
      if (envelopes.length === 0) return { decided: Promise.resolve([]) };
      const size = sizeOf(envelopes);
      await room.wait(carrier.prefix, size, signal);
      const decided = decide(envelopes, carrier, signal).finally(() => room.leave(carrier.prefix, size));
      return { decided };
    },
  };
}

/** What envelopes take while they are undecided. */
export function sizeOf(envelopes: readonly Envelope[]): Size {
  const bytes = envelopes.reduce((sum, { header, ciphertext, signature }) => {
    return sum + header.length + ciphertext.length + signature.length;
  }, 0);
  return { envelopes: envelopes.length, bytes };
}

function readEnvelope(envelope: Envelope, maxBytes: number): ParsedEnvelope | DeliveryResult {
  try {
    return parseEnvelope(envelope, maxBytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const reason =
      error.reason === "ENVELOPE_TOO_LARGE" ? RejectionReason.TOO_LARGE : RejectionReason.MALFORMED;
    return rejected(NO_SHARE_ID, reason, error.message);
  }
}

function isResult(value: ParsedEnvelope | DeliveryResult): value is DeliveryResult {
  return "outcome" in value;
}
