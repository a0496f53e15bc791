// A node for partner.test as far as inbound delivery goes, over a real database: bob lives there, and alice at acme.test writes
// to him with keys that her domain publishes.

import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { ownDomains } from "../../src/federation/hosted-domains.ts";
import { createInbound, type DeliveryBudget, type InboundOptions } from "../../src/federation/inbound.ts";
import type { Carrier } from "../../src/federation/inbound-delivery.ts";
import { createSenderKeyDirectory } from "../../src/federation/sender-keys.ts";
import { silentLogger } from "../../src/logger.ts";
import { openStorage, type Storage } from "../../src/storage/open.ts";
import { makeAccount, makeKeySet, makeShare, published, type TestKeySet } from "../support/people.ts";

/** When the tests take place. */
export const NOW = Date.UTC(2026, 5, 1);
export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;
/** What a first contact has to do. */
export const DIFFICULTY = 16;
/** Who carries where a test does not say. */
export const CARRIER: Carrier = { prefix: "192.0.2.0/24", connectionId: "c1" };

const open: Storage[] = [];

/** Closes the databases of all nodes. */
export async function closePartners(): Promise<void> {
  for (const storage of open.splice(0)) await storage.close();
}

/** Parts that a test wants otherwise. */
export interface PartnerOptions
  extends Partial<Pick<InboundOptions, "maxFirstContactsPerDay" | "maxAccountBytes" | "room" | "draw">> {
  /** Stands before the store that accepts. */
  readonly accept?: (accept: Storage["received"]["accept"]) => Storage["received"]["accept"];
}

/** Starts the node. */
export async function partner({ accept = (same) => same, ...options }: PartnerOptions = {}) {
  const stores = await openStorage({ url: "sqlite::memory:" });
  open.push(stores);
  const alice = makeKeySet("alice@acme.test", NOW - 30 * DAY);
  const bob = makeKeySet("bob@partner.test", NOW - 30 * DAY);
  const state = {
    now: NOW,
    /** The key sets of alice's that her domain publishes, with the one that follows, by number. */
    acme: new Map<number, [TestKeySet, TestKeySet?]>([[1, [alice]]]),
    acmeIsDown: false,
    /** Resolves when acme.test answers. */
    acmeAnswers: Promise.resolve(),
    waits: {} as Partial<Record<DeliveryBudget, number>>,
    drawn: [] as [DeliveryBudget, string, number][],
    told: [] as number[],
  };
  const bobId = await makeAccount(stores, bob);
  const { received } = stores;
  const inbound = createInbound({
    clock: () => state.now,
    log: silentLogger,
    stores: { received: { deliveryFacts: received.deliveryFacts, accept: accept(received.accept) } },
    senderKeys: createSenderKeyDirectory({
      clock: () => state.now,
      fetchKeySet: async (domain, { number }) => {
        if (state.acmeIsDown) throw new PeerError("PEER_UNREACHABLE", domain, "cannot be connected to");
        await state.acmeAnswers;
        const found = state.acme.get(number);
        if (!found) throw new PeerError("PEER_REFUSED", domain, "no", { peerReason: "KEY_SET_UNKNOWN" });
        return published(...found);
      },
    }),
    domains: ownDomains(["partner.test"]),
    firstContactDifficulty: DIFFICULTY,
    maxEnvelopeBytes: 256 * 1024,
    maxAccountBytes: 1e9,
    maxFirstContactsPerDay: 20,
    draw: async (budget, key, points) => {
      state.drawn.push([budget, key, points]);
      return state.waits[budget] ?? 0;
    },
    onAccepted: (accountId) => state.told.push(accountId),
    ...options,
  });
  return {
    stores,
    state,
    alice,
    bob,
    bobId,
    inbound,
    deliver: (...envelopes: Envelope[]) => inbound.deliver(envelopes, CARRIER),
    /** Lets alice write to bob without a stamp. */
    befriend: () =>
      stores.contacts.set(bobId, alice.keySet.address, "ACCEPTED", { now: NOW, maxContacts: 100 }),
    received: () => received.list(bobId, { limit: 100, now: state.now }),
  };
}

/** A share, with a stamp unless the difficulty is 0. */
export const share = (
  from: TestKeySet,
  to: TestKeySet,
  createdAt = NOW,
  expiresAt = 0,
  difficulty = DIFFICULTY,
) => makeShare(from, to, { createdAt, expiresAt, difficulty });
