import { create } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcome, type DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { makeKeySet, publishKeySet } from "../support/people.ts";
import { closePartners, DAY, DIFFICULTY, MINUTE, NOW, partner, share } from "./partner.ts";

afterEach(closePartners);

function expectRejected(result: DeliveryResult | undefined, reason: RejectionReason): void {
  expect(result).toMatchObject({ outcome: DeliveryOutcome.REJECTED, rejectionReason: reason });
  expect(result?.message).not.toBe("");
}

describe("refusing a delivery", () => {
  it("names what is malformed, and takes the good envelopes of the same batch", async () => {
    const { alice, bob, deliver, received } = await partner();
    const good = await share(alice, bob);
    const cut = create(EnvelopeSchema, { ...good.envelope, header: good.envelope.header.subarray(0, -1) });
    const [first, second] = await deliver(cut, good.envelope);
    expectRejected(first, RejectionReason.MALFORMED);
    expect(second?.outcome).toBe(DeliveryOutcome.ACCEPTED);
    expect(await received()).toHaveLength(1);
  });

  it("refuses an envelope above the size that it takes", async () => {
    const { alice, bob, deliver } = await partner();
    const { envelope } = await share(alice, bob);
    const [result] = await deliver({ ...envelope, ciphertext: new Uint8Array(256 * 1024) });
    expectRejected(result, RejectionReason.TOO_LARGE);
  });

  it("refuses the whole batch when a recipient's domain is not hosted here", async () => {
    const { alice, bob, deliver, received } = await partner();
    const elsewhere = makeKeySet("carol@elsewhere.test", NOW - DAY);
    const stray = await share(alice, elsewhere);
    const good = await share(alice, bob);
    await expect(deliver(good.envelope, stray.envelope)).rejects.toMatchObject({
      reason: "DOMAIN_NOT_HOSTED",
    });
    expect(await received()).toHaveLength(0);
  });

  it.each([
    ["5 minutes and a moment ahead", 5 * MINUTE + 1, RejectionReason.FUTURE_DATED],
    ["7 days and a moment old", -7 * DAY - 1, RejectionReason.EXPIRED],
  ])("refuses an envelope dated %s", async (_name, offset, reason) => {
    const { alice, bob, deliver, received } = await partner();
    const { envelope } = await share(alice, bob, NOW + offset);
    expectRejected((await deliver(envelope))[0], reason);
    expect(await received()).toHaveLength(0);
  });

  it("refuses an envelope that has expired", async () => {
    const { alice, bob, deliver } = await partner();
    const { envelope } = await share(alice, bob, NOW - MINUTE, NOW);
    expectRejected((await deliver(envelope))[0], RejectionReason.EXPIRED);
  });

  it("refuses an unknown recipient", async () => {
    const { alice, deliver } = await partner();
    const { envelope } = await share(alice, makeKeySet("nobody@partner.test", NOW - DAY));
    expectRejected((await deliver(envelope))[0], RejectionReason.UNKNOWN_RECIPIENT);
  });

  it("refuses a first contact without the stamp, before any key is looked up", async () => {
    const { alice, bob, deliver, state } = await partner();
    const { envelope } = await share(alice, bob, NOW, 0, 0);
    expectRejected((await deliver(envelope))[0], RejectionReason.STAMP_REQUIRED);
    expect(state.drawn).toEqual([["delivery-source", "192.0.2.0/24", 1]]);
  });

  it.each(["NONE", "ACCEPTED", "BLOCKED"] as const)(
    "tells a forger without a stamp nothing about a contact that is %s",
    async (contact) => {
      const { stores, bob, bobId, deliver } = await partner();
      await stores.contacts.set(bobId, "alice@acme.test", contact, { now: NOW, maxContacts: 100 });
      const { envelope } = await share(makeKeySet("alice@acme.test", NOW - DAY), bob, NOW, 0, 0);
      expectRejected((await deliver(envelope))[0], RejectionReason.STAMP_REQUIRED);
    },
  );

  it("charges the carrier more for an address that does not exist", async () => {
    const { alice, deliver, state } = await partner();
    const { envelope } = await share(alice, makeKeySet("nobody@partner.test", NOW - DAY));
    await deliver(envelope);
    expect(state.drawn.map(([, , points]) => points)).toEqual([1, 20]);
  });

  it("refuses a blocked sender", async () => {
    const { stores, alice, bob, bobId, deliver } = await partner();
    await stores.contacts.set(bobId, "alice@acme.test", "BLOCKED", { now: NOW, maxContacts: 100 });
    const { envelope } = await share(alice, bob);
    expectRejected((await deliver(envelope))[0], RejectionReason.NOT_ACCEPTED);
  });

  it("refuses a signature by keys that the sender's domain does not publish", async () => {
    const { bob, deliver, received, state } = await partner();
    const { envelope } = await share(makeKeySet("alice@acme.test", NOW - DAY), bob);
    expectRejected((await deliver(envelope))[0], RejectionReason.BAD_SIGNATURE);
    expect(await received()).toHaveLength(0);
    expect(state.drawn.filter(([budget]) => budget === "delivery-source").length).toBe(2);
  });

  it("refuses a ciphertext with one bit changed", async () => {
    const { alice, bob, deliver } = await partner();
    const { envelope } = await share(alice, bob, NOW, 0, 0);
    const ciphertext = Uint8Array.from(envelope.ciphertext);
    ciphertext[100]! ^= 1;
    const changed = create(EnvelopeSchema, { ...envelope, ciphertext });
    const { parseEnvelope } = await import("../../src/protocol/envelope.ts");
    const { stamp } = await import("../support/people.ts");
    await stamp(changed, parseEnvelope(changed).shareId, "bob@partner.test", DIFFICULTY);
    expectRejected((await deliver(changed))[0], RejectionReason.BAD_SIGNATURE);
  });

  it("refuses a number that the sender's domain does not know", async () => {
    const { alice, bob, deliver } = await partner();
    const second = makeKeySet("alice@acme.test", NOW - DAY, alice);
    const { envelope } = await share(second, bob);
    expectRejected((await deliver(envelope))[0], RejectionReason.BAD_SIGNATURE);
  });

  it("refuses a sender's set that was revoked, or retired 4 days ago", async () => {
    for (const [createdAt, revokesPrevious] of [
      [NOW - MINUTE, true],
      [NOW - 4 * DAY, false],
    ] as const) {
      const { alice, bob, deliver, state } = await partner();
      const second = makeKeySet("alice@acme.test", createdAt, alice, { revokesPrevious });
      state.acme.set(1, [alice, second]);
      const { envelope } = await share(alice, bob, createdAt);
      expectRejected((await deliver(envelope))[0], RejectionReason.KEY_RETIRED);
    }
  });

  it("refuses an envelope sealed to a set of the recipient's that was retired", async () => {
    const { stores, alice, bob, bobId, deliver } = await partner();
    await publishKeySet(stores, bobId, makeKeySet("bob@partner.test", NOW - 4 * DAY, bob));
    const { envelope } = await share(alice, bob);
    expectRejected((await deliver(envelope))[0], RejectionReason.KEY_RETIRED);
  });

  it("refuses more first contacts of a domain than the recipient takes in a day", async () => {
    const { alice, bob, deliver } = await partner({ maxFirstContactsPerDay: 2 });
    const envelopes = await Promise.all([1, 2, 3].map(async () => (await share(alice, bob)).envelope));
    const results = await deliver(...envelopes);
    expect(results.map(({ outcome }) => outcome)).toEqual([
      DeliveryOutcome.ACCEPTED,
      DeliveryOutcome.ACCEPTED,
      DeliveryOutcome.REJECTED,
    ]);
    expectRejected(results[2], RejectionReason.QUOTA);
  });

  it("refuses what the recipient has no room for", async () => {
    const { alice, bob, deliver } = await partner({ maxAccountBytes: 1_000 });
    expectRejected((await deliver((await share(alice, bob)).envelope))[0], RejectionReason.QUOTA);
  });
});

describe("putting a delivery off", () => {
  it("asks the carrier to come back when the sender's domain cannot be asked", async () => {
    const { alice, bob, deliver, state, received } = await partner();
    state.acmeIsDown = true;
    const { envelope } = await share(alice, bob);
    const [result] = await deliver(envelope);
    expect(result).toMatchObject({ outcome: DeliveryOutcome.RETRY_LATER });
    expect(result?.retryAfterMs).toBeGreaterThan(0);
    state.acmeIsDown = false;
    expect((await deliver(envelope))[0]?.outcome).toBe(DeliveryOutcome.ACCEPTED);
    expect(await received()).toHaveLength(1);
  });

  it.each(["delivery-source", "delivery-recipient", "delivery-sender-domain"] as const)(
    "says how long to wait when the budget %s is spent",
    async (budget) => {
      const { alice, bob, deliver, state, received } = await partner();
      state.waits[budget] = 1_234;
      const [result] = await deliver((await share(alice, bob)).envelope);
      expect(result).toMatchObject({ outcome: DeliveryOutcome.RETRY_LATER, retryAfterMs: 1_234 });
      expect(await received()).toHaveLength(0);
    },
  );
});

describe("accepting a delivery", () => {
  it("stores the share with the sender's key set and tells the recipient's watchers", async () => {
    const { stores, alice, bob, bobId, deliver, state } = await partner();
    const { envelope, shareId } = await share(alice, bob);
    expect((await deliver(envelope))[0]).toMatchObject({ outcome: DeliveryOutcome.ACCEPTED, shareId });
    const stored = await stores.received.get(bobId, shareId, NOW);
    expect(stored?.share).toMatchObject({ sequence: 1, sender: "alice@acme.test" });
    expect(Buffer.from(stored!.senderKeySet.body)).toEqual(Buffer.from(alice.record.body));
    expect(state.told).toEqual([bobId]);
  });

  it("takes an envelope once, however often and however parallel it is delivered", async () => {
    const { alice, bob, deliver, received } = await partner();
    const { envelope } = await share(alice, bob);
    const results = await Promise.all(Array.from({ length: 20 }, () => deliver(envelope, envelope)));
    const outcomes = results.flat().map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === DeliveryOutcome.ACCEPTED)).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === DeliveryOutcome.DUPLICATE)).toHaveLength(39);
    expect(await received()).toHaveLength(1);
  });

  it("answers a replay after the recipient deleted the share with DUPLICATE, and brings nothing back", async () => {
    const { stores, alice, bob, bobId, deliver, received } = await partner();
    const { envelope, shareId } = await share(alice, bob);
    await deliver(envelope);
    await stores.received.delete(bobId, shareId);
    expect((await deliver(envelope))[0]?.outcome).toBe(DeliveryOutcome.DUPLICATE);
    expect(await received()).toHaveLength(0);
  });

  it("remembers no rejection: what was refused is taken once its cause is gone", async () => {
    const { stores, alice, bob, bobId, deliver } = await partner();
    await stores.contacts.set(bobId, "alice@acme.test", "BLOCKED", { now: NOW, maxContacts: 100 });
    const { envelope } = await share(alice, bob);
    expectRejected((await deliver(envelope))[0], RejectionReason.NOT_ACCEPTED);
    await stores.contacts.set(bobId, "alice@acme.test", "NONE", { now: NOW, maxContacts: 100 });
    expect((await deliver(envelope))[0]?.outcome).toBe(DeliveryOutcome.ACCEPTED);
  });

  it("asks no stamp of an accepted contact", async () => {
    const { stores, alice, bob, bobId, deliver } = await partner({ maxFirstContactsPerDay: 0 });
    await stores.contacts.set(bobId, "alice@acme.test", "ACCEPTED", { now: NOW, maxContacts: 100 });
    const { envelope } = await share(alice, bob, NOW, 0, 0);
    expect((await deliver(envelope))[0]?.outcome).toBe(DeliveryOutcome.ACCEPTED);
  });

  it("takes a share to oneself without a stamp", async () => {
    const { bob, deliver, state } = await partner();
    state.acme.set(1, [bob]);
    const { envelope } = await share(bob, bob, NOW, 0, 0);
    expect((await deliver(envelope))[0]?.outcome).toBe(DeliveryOutcome.ACCEPTED);
  });

  it("takes what a set signed that was superseded less than 4 days ago", async () => {
    const { alice, bob, deliver, state } = await partner();
    const second = makeKeySet("alice@acme.test", NOW - 4 * DAY + 1, alice);
    state.acme.set(1, [alice, second]);
    const { envelope } = await share(alice, bob, NOW - 4 * DAY + 5 * MINUTE);
    expect((await deliver(envelope))[0]?.outcome).toBe(DeliveryOutcome.ACCEPTED);
  });
});
