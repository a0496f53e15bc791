// Inbound delivery when much comes at once, and when some of it is hostile: what is stored is stored once and in order, and
// nobody pays for what somebody else brings.

import { create } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Envelope, EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcome, type DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import type { DeliveryBudget } from "../../src/federation/inbound.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { createBudgets } from "../../src/server/budgets.ts";
import { makeKeySet } from "../support/people.ts";
import { CARRIER, closePartners, DAY, NOW, partner, share } from "./partner.ts";

vi.setConfig({ testTimeout: 120_000 });
afterEach(closePartners);

const { ACCEPTED, DUPLICATE, REJECTED, RETRY_LATER } = DeliveryOutcome;
const FLOODER = { prefix: "203.0.113.0/24", connectionId: "flood" };

/** How often each outcome is there. */
function tally(results: readonly DeliveryResult[]): Partial<Record<DeliveryOutcome, number>> {
  const counts: Partial<Record<DeliveryOutcome, number>> = {};
  for (const { outcome } of results) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** Envelopes that differ from one another and from the given one, whose signature none of them has. */
function forgeries(of: Envelope, count: number): Envelope[] {
  return Array.from({ length: count }, (_, index) => {
    const ciphertext = Uint8Array.from(of.ciphertext);
    new DataView(ciphertext.buffer).setUint32(0, index);
    return create(EnvelopeSchema, { ...of, ciphertext });
  });
}

/** Shares from alice to bob without stamps. */
async function shares({ alice, bob }: Awaited<ReturnType<typeof partner>>, count: number) {
  const made: Envelope[] = [];
  for (let i = 0; i < count; i++) made.push((await share(alice, bob, NOW, 0, 0)).envelope);
  return made;
}

const idOf = (envelope: Envelope) => toHex(parseEnvelope(envelope).shareId);

describe("much that is delivered at once", () => {
  it("is stored once, the same envelope a thousand times in parallel from many sources", async () => {
    const node = await partner();
    await node.befriend();
    const [envelope] = await shares(node, 1);
    const deliveries = Array.from({ length: 250 }, (_, i) => {
      const carrier = { prefix: `10.0.${i % 20}.0/24`, connectionId: `c${i}` };
      return node.inbound.deliver(Array(4).fill(envelope), carrier);
    });
    expect(tally((await Promise.all(deliveries)).flat())).toEqual({ [ACCEPTED]: 1, [DUPLICATE]: 999 });
    expect(await node.received()).toHaveLength(1);
    expect(node.state.told).toEqual([node.bobId]);
  });

  it("is stored in the order in which it came, keys known or not", async () => {
    const node = await partner();
    await node.befriend();
    const sent = await shares(node, 200);
    for (const batch of [sent.slice(0, 20), sent.slice(20)]) {
      expect(tally(await node.deliver(...batch))).toEqual({ [ACCEPTED]: batch.length });
    }
    const kept = await node.stores.received.after(node.bobId, { after: 0, limit: 1_000, now: NOW });
    expect(kept.map(({ shareId }) => toHex(shareId))).toEqual(sent.map(idOf));
  });

  it("is told to watchers once per group, not once per share", async () => {
    const node = await partner();
    await node.befriend();
    await node.deliver(...(await shares(node, 20)));
    expect(node.state.told).toEqual([node.bobId]);
  });

  it("does not wait for a sender's silent domain unless it is of that sender", async () => {
    const node = await partner();
    const carol = makeKeySet("carol@acme.test", NOW - DAY);
    const known = await share(node.alice, node.bob);
    await node.deliver(known.envelope);
    const silent = Promise.withResolvers<void>();
    node.state.acmeAnswers = silent.promise;
    node.state.acme.set(1, [carol]);
    let isDecided = false;
    const waiting = node.deliver((await share(carol, node.bob)).envelope);
    void waiting.then(() => {
      isDecided = true;
    });
    const others = await node.deliver((await share(node.alice, node.bob)).envelope);
    expect(others).toMatchObject([{ outcome: ACCEPTED }]);
    expect(isDecided).toBe(false);
    silent.resolve();
    expect(await waiting).toMatchObject([{ outcome: ACCEPTED }]);
  });

  it("is put off where there is no room for it, and waits where its carrier can be held back", async () => {
    const node = await partner({ room: { envelopes: 4, bytes: 1e9 } });
    await node.befriend();
    const silent = Promise.withResolvers<void>();
    node.state.acmeAnswers = silent.promise;
    const [one, two, three, four, five, six] = (await shares(node, 6)) as [
      Envelope,
      Envelope,
      Envelope,
      Envelope,
      Envelope,
      Envelope,
    ];
    const first = node.deliver(one, two);
    const [refused] = await node.deliver(three);
    expect(refused).toMatchObject({ outcome: RETRY_LATER });
    expect(refused?.retryAfterMs).toBeGreaterThan(0);
    const other = node.inbound.deliver([four], FLOODER);
    const leaving = new AbortController();
    const left = node.inbound.take([five], CARRIER, leaving.signal);
    const taken = node.inbound.take([six], CARRIER, new AbortController().signal);
    leaving.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    silent.resolve();
    expect(tally([...(await first), ...(await other)])).toEqual({ [ACCEPTED]: 3 });
    expect(await (await taken).decided).toMatchObject([{ outcome: ACCEPTED }]);
    expect(await node.deliver(three, five)).toMatchObject([{ outcome: ACCEPTED }, { outcome: ACCEPTED }]);
  });

  it("is neither verified nor stored when nobody waits for the decision any more", async () => {
    const node = await partner();
    await node.befriend();
    const gone = AbortSignal.abort(new Error("the caller left"));
    await expect(node.inbound.deliver(await shares(node, 1), CARRIER, gone)).rejects.toThrow("left");
    expect(await node.received()).toHaveLength(0);
  });

  it("fails where the store fails, and spoils nobody else's batch of the same group", async () => {
    let poison = "";
    const node = await partner({
      accept: (accept) => async (acceptances) => {
        if (acceptances.some(({ envelope }) => toHex(envelope.shareId) === poison)) {
          throw new Error("no database takes this");
        }
        return accept(acceptances);
      },
    });
    await node.befriend();
    const sent = await shares(node, 12);
    poison = idOf(sent[6]!);
    const settled = await Promise.allSettled(
      sent.map((envelope, i) => node.inbound.deliver([envelope], { ...CARRIER, connectionId: `c${i}` })),
    );
    const failed = settled.flatMap((one, index) => (one.status === "rejected" ? [index] : []));
    expect(failed).toEqual([6]);
    expect(await node.received()).toHaveLength(11);
  });
});

describe("a hostile delivery", () => {
  it("spoils none of the good envelopes around it, in one batch and in one group", async () => {
    const node = await partner();
    await node.befriend();
    const good = await shares(node, 40);
    const [bad] = forgeries(good[0]!, 1);
    const mixed = [...good.slice(0, 13), bad!, ...good.slice(13, 30)];
    const [batch, others] = await Promise.all([
      node.deliver(...mixed),
      node.inbound.deliver(good.slice(30), FLOODER),
    ]);
    expect(batch[13]).toMatchObject({ outcome: REJECTED, rejectionReason: RejectionReason.STAMP_REQUIRED });
    expect(tally([...batch, ...others])).toEqual({ [ACCEPTED]: 40, [REJECTED]: 1 });
    expect(await node.received()).toHaveLength(40);
  });

  it.each([
    ["ahead", DAY, REJECTED],
    ["behind", -DAY, ACCEPTED],
  ])("by a peer whose clock is a day %s is judged by this node's clock", async (_, offset, outcome) => {
    const node = await partner();
    const { envelope } = await share(node.alice, node.bob, NOW + offset);
    expect((await node.deliver(envelope))[0]).toMatchObject({
      outcome,
      rejectionReason: outcome === REJECTED ? RejectionReason.FUTURE_DATED : RejectionReason.UNSPECIFIED,
    });
    node.state.now += DAY;
    const again = outcome === REJECTED ? ACCEPTED : DUPLICATE;
    expect((await node.deliver(envelope))[0]).toMatchObject({ outcome: again });
  });

  it("is a duplicate still when it comes a thousand times after its recipient deleted the share", async () => {
    const node = await partner();
    const { envelope, shareId } = await share(node.alice, node.bob);
    await node.deliver(envelope);
    await node.stores.received.delete(node.bobId, shareId);
    const deliveries = Array.from({ length: 10 }, () => node.deliver(...Array<Envelope>(100).fill(envelope)));
    expect(tally((await Promise.all(deliveries)).flat())).toEqual({ [DUPLICATE]: 1_000 });
    expect(await node.received()).toHaveLength(0);
  });

  it("costs the source that brings it, and not the domain that it claims", async () => {
    const rate = { perSecond: 100, burst: 400 };
    const budgets = createBudgets<DeliveryBudget>(
      {
        "delivery-source": { ...rate, drains: true },
        "delivery-recipient": { perSecond: 1, burst: 10_000 },
        "delivery-sender-domain": { perSecond: 1, burst: 50 },
      },
      () => NOW,
    );
    const node = await partner({ draw: async (name, key, points) => budgets.draw(name, key, points) });
    await node.befriend();
    const honest = await shares(node, 50);
    const flood = forgeries(honest[0]!, 2_000);
    const flooding: Promise<DeliveryResult[]>[] = [];
    for (let i = 0; i < flood.length; i += 100) {
      flooding.push(node.inbound.deliver(flood.slice(i, i + 100), FLOODER));
    }
    const results = await node.deliver(...honest);
    // As many as the domain's budget has: nothing of it went to what only claimed to be its.
    expect(tally(results)).toEqual({ [ACCEPTED]: 50 });
    const flooded = (await Promise.all(flooding)).flat();
    const { [REJECTED]: verified = 0, [RETRY_LATER]: putOff = 0 } = tally(flooded);
    expect(verified + putOff).toBe(2_000);
    // No more were looked at than the source's budget had before the first of them failed, and what waited then was put off.
    expect(verified).toBeLessThan(400);
    expect(budgets.look("delivery-source", FLOODER.prefix)).toBeGreaterThan(0);
    expect(budgets.look("delivery-source", CARRIER.prefix)).toBe(0);
  });

  it("keeps nobody waiting for all that it brings", async () => {
    const node = await partner();
    await node.befriend();
    const honest = await shares(node, 10);
    const flood = forgeries(honest[0]!, 1_000);
    let flooding = 10;
    for (let i = 0; i < flood.length; i += 100) {
      void node.inbound.deliver(flood.slice(i, i + 100), FLOODER).then(() => {
        flooding -= 1;
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(tally(await node.deliver(...honest))).toEqual({ [ACCEPTED]: 10 });
    expect(flooding).toBeGreaterThan(0);
    await expect.poll(() => flooding, { timeout: 60_000 }).toBe(0);
  });
});
