// Peers that are wrong or ill-disposed, against whole nodes over real sockets: one whose clock is a day off, a crowd that brings
// the same envelope at once, and a flood in somebody else's name.

import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  DeliveryOutcome,
  type DeliveryResult,
  FederationService,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { DeliveryState, RejectionReason } from "../../src/client/index.ts";
import type { RawOptions } from "../../src/config.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { MAX_DELIVERY_ENVELOPES } from "../../src/protocol/limits.ts";
import {
  delivered,
  environment,
  PATIENCE,
  type Person,
  seal,
  settled,
  shareIds,
  signUp,
} from "../support/clients.ts";
import { freePort, startTestNodes, type TestNode } from "../support/nodes.ts";
import { measure } from "./chance.ts";
import { clearEnvironment, createClock, startClockedNode } from "./clock.ts";
import {
  expectAllDelivered,
  expectEachOnce,
  keysOf,
  sealMany,
  sendUntilAcknowledged,
} from "./correspondence.ts";

const TIMEOUT_MS = measure(120_000, 600_000);
const DAY = 86_400_000;
const COPIES = 1_000;
const CALLERS = 20;
const FLOOD = measure(1_200, 20_000);
const FLOODERS = 8;
/** What a domain may deliver at once in the test of a flood, and what it does. */
const BURST = 300;
const SHARES = 250;
/** Forged envelopes of one call. */
const BATCH = 100;

const { ACCEPTED, DUPLICATE, REJECTED, RETRY_LATER } = DeliveryOutcome;

/** Whoever carries envelopes to a node, over a connection of its own; from elsewhere, if a proxy says so. */
function carrierTo(node: TestNode, from?: string) {
  const transport = createGrpcTransport({
    baseUrl: node.origin,
    interceptors: [
      (next) => (request) => {
        if (from !== undefined) request.header.set("x-forwarded-for", from);
        return next(request);
      },
    ],
  });
  const client = createClient(FederationService, transport);
  return async (envelopes: Envelope[]): Promise<DeliveryResult[]> =>
    (await client.deliverShares({ envelopes })).results;
}

async function startPair(partnerFlags: RawOptions = {}) {
  const [acme, partner] = (await startTestNodes(
    { domain: "acme.test" },
    { domain: "partner.test", flags: partnerFlags },
  )) as [TestNode, TestNode];
  onTestFinished(async () => {
    await Promise.all([acme.remove(), partner.remove()]);
  });
  const env = environment([acme, partner]);
  const [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
  await bob.account.contacts.accept(alice.address);
  return { acme, partner, alice, bob };
}

it.each([
  ["ahead", DAY],
  ["behind", -DAY],
])(
  "a node whose clock is a day %s loses nothing, and its senders learn of it",
  { timeout: TIMEOUT_MS },
  async (_, offset) => {
    const [wrong, right] = [createClock(), createClock()];
    const ports = { "acme.test": await freePort(), "partner.test": await freePort() };
    const resolve = new Map(
      Object.entries(ports).map(([domain, port]) => [domain, `http://127.0.0.1:${port}`]),
    );
    const acme = await startClockedNode({
      domain: "acme.test",
      port: ports["acme.test"],
      clock: wrong,
      resolve,
    });
    const partner = await startClockedNode({
      domain: "partner.test",
      port: ports["partner.test"],
      clock: right,
      resolve,
    });
    onTestFinished(async () => {
      await Promise.all([acme.remove(), partner.remove()]);
    });
    const alice = await signUp(clearEnvironment([acme, partner], wrong), "alice@acme.test");
    const bob = await signUp(clearEnvironment([acme, partner], right), "bob@partner.test");
    await bob.account.contacts.accept(alice.address);
    await alice.account.contacts.accept(bob.address);
    wrong.move(offset);
    // Budgets are empty at first when a clock was set back.
    const patiently = <T>(call: () => Promise<T>) => vi.waitFor(call, PATIENCE);
    const content = { kind: "text", text: "what time is it?" } as const;
    const send = async (from: Person, to: Person) =>
      (await patiently(() => from.account.shares.send(to.address, content))).shareId;

    const [there, back] = [await send(alice, bob), await send(bob, alice)];
    const fates = [await settled(alice, there), await settled(bob, back)];
    // Whoever's clock lags sends what seems a day old, which may be; what seems to come from tomorrow is refused.
    const refused = { state: DeliveryState.REJECTED, rejectionReason: RejectionReason.FUTURE_DATED };
    const arrived = { state: DeliveryState.DELIVERED };
    expect(fates).toMatchObject(offset > 0 ? [refused, arrived] : [arrived, refused]);

    wrong.move(-offset);
    const [from, shareId] = offset > 0 ? [alice, there] : [bob, back];
    const again = (await patiently(() => from.account.shares.sendAgain(shareId))).shareId;
    await delivered(from, again);
    expect(await shareIds(bob)).toEqual([toHex(offset > 0 ? again : there)]);
    expect(await shareIds(alice)).toEqual([toHex(offset > 0 ? back : again)]);
  },
);

it("an envelope that a crowd brings a thousand times at once is stored once, and never again once it was deleted", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { partner, alice, bob } = await startPair();
  const { envelope, shareId } = await seal(alice, bob, { kind: "text", text: "all together now" });
  const carriers = Array.from({ length: CALLERS }, () => carrierTo(partner));
  const bringAll = async () => {
    const copies = Array<Envelope>(COPIES / CALLERS).fill(envelope);
    const outcomes = (await Promise.all(carriers.map((carry) => carry(copies)))).flat();
    return Map.groupBy(outcomes, ({ outcome }) => outcome);
  };

  const first = await bringAll();
  expect(first.get(ACCEPTED)).toHaveLength(1);
  expect(first.get(DUPLICATE)).toHaveLength(COPIES - 1);
  await expectEachOnce(bob, new Set([toHex(shareId)]));

  await bob.account.shares.delete(shareId, "received");
  expect((await bringAll()).get(DUPLICATE)).toHaveLength(COPIES);
  await partner.stop();
  await partner.start();
  expect((await bringAll()).get(DUPLICATE)).toHaveLength(COPIES);
  expect(await shareIds(bob)).toEqual([]);
});

it("a batch in which one envelope is forged brings all the others, once each", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { partner, alice, bob } = await startPair();
  const good = await sealMany(await keysOf(alice, bob), MAX_DELIVERY_ENVELOPES - 1);
  const envelopes = good.map(({ envelope }) => envelope);
  const carry = carrierTo(partner);
  const at = envelopes.length >> 1;
  const results = await carry(envelopes.toSpliced(at, 0, forge(envelopes[at] as Envelope)));
  expect(results[at]).toMatchObject({ outcome: REJECTED, rejectionReason: RejectionReason.BAD_SIGNATURE });
  expect(results.filter(({ outcome }) => outcome === ACCEPTED)).toHaveLength(good.length);
  await expectEachOnce(bob, new Set(good.map(({ shareId }) => toHex(shareId))));
});

it("a flood in a domain's name takes nothing of what that domain may deliver", {
  timeout: TIMEOUT_MS,
}, async () => {
  const limits = { "deliveries-per-second": 1, "delivery-burst": BURST, "trusted-proxy": ["127.0.0.1"] };
  const { partner, alice, bob } = await startPair(limits);
  const shares = await sealMany(await keysOf(alice, bob), SHARES);
  const [{ envelope: model }] = shares as [(typeof shares)[0]];
  let begun = 0;
  const outcomes: DeliveryOutcome[] = [];
  const flooding = Array.from({ length: FLOODERS }, async (_, i) => {
    const carry = carrierTo(partner, `203.0.113.${i}`);
    while (begun < FLOOD) {
      begun += BATCH;
      const results = await carry(Array.from({ length: BATCH }, () => forge(model)));
      outcomes.push(...results.map(({ outcome }) => outcome));
    }
  });
  const sending = sendUntilAcknowledged(shares, [alice.node]);
  await sending.done;
  for (const { shareId } of shares) await delivered(alice, shareId);
  await Promise.all(flooding);

  await expectAllDelivered(alice);
  await expectEachOnce(bob, sending.acknowledged);
  // None of them was put off: had the flood drawn on its budget, there would not have been enough for all.
  const { shares: sent } = await alice.account.shares.list("sent", { pageSize: 100 });
  expect(new Set(sent.map(({ delivery }) => delivery?.attempts))).toEqual(new Set([1]));
  expect(new Set(outcomes)).toEqual(new Set([REJECTED, RETRY_LATER]));
  expect(outcomes.filter((outcome) => outcome === REJECTED).length).toBeLessThan(FLOOD / 2);
});

/** The same in another's words: well-formed, and signed by nobody. */
function forge(envelope: Envelope): Envelope {
  return { ...envelope, ciphertext: randomBytes(envelope.ciphertext.length) };
}
