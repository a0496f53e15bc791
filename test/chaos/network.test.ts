// What happens between two nodes: a line that delays, splits, silences and cuts, a peer that never answers, answers too late,
// answers noise, or is gone for longer than any wait between attempts. Whatever was acknowledged arrives once, and other
// domains get theirs meanwhile.

import { setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import { DeliveryState } from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { BACKOFF_MAX_MS } from "../../src/federation/backoff.ts";
import { delivered, type Person, signUp } from "../support/clients.ts";
import { freePort, type TestNode } from "../support/nodes.ts";
import { createChance, measure } from "./chance.ts";
import { clearEnvironment, createClock, type MovableClock, startClockedNode } from "./clock.ts";
import {
  expectAllDelivered,
  expectEachOnce,
  expectWatchedOnce,
  keysOf,
  sealMany,
  sendUntilAcknowledged,
  watchReceived,
} from "./correspondence.ts";
import { type Line, openLineForTest, type Weather } from "./line.ts";

const TIMEOUT_MS = measure(240_000, 1_200_000);
const PATIENCE = { timeout: TIMEOUT_MS, interval: 50 } as const;
const SHARES = measure(200, 1_500);
/** Hours for which a peer is gone: its shares wait as long as any share ever does. */
const HOURS_DOWN = measure(2, 14);

/** A domain, the line that leads to it, and somebody who lives there. */
interface Peer {
  readonly node: TestNode;
  readonly line: Line;
  readonly person: Person;
}

/** Alice's node and peers of it, each behind a line of its own; so is alice's node for them. */
async function startAround(...domains: readonly string[]) {
  const clock = createClock();
  const all = ["acme.test", ...domains];
  const places = await Promise.all(
    all.map(async (domain) => {
      const port = await freePort();
      return { domain, port, line: await openLineForTest(() => port) };
    }),
  );
  const resolve = new Map(places.map(({ domain, line }) => [domain, line.origin]));
  const nodes = await Promise.all(
    places.map(({ domain, port, line }) =>
      startClockedNode({ domain, port, clock, resolve, origin: line.origin }),
    ),
  );
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.remove()));
  });
  const env = clearEnvironment(nodes, clock);
  const people = await Promise.all(all.map((domain) => signUp(env, `someone@${domain}`)));
  const [acme, ...peers] = places.map(
    ({ line }, i): Peer => ({ node: nodes[i] as TestNode, line, person: people[i] as Person }),
  );
  for (const { person } of peers) await person.account.contacts.accept((acme as Peer).person.address);
  return { clock, acme: acme as Peer, peers };
}

/** Moves the clock on by hours until something is so: what waits for its next attempt has it. */
async function hourByHour(clock: MovableClock, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) {
    clock.move(BACKOFF_MAX_MS);
    for (let looks = 0; looks < 60 && !(await isSo()); looks++) await delay(100);
  }
}

it("a storm between two nodes costs nothing that was acknowledged, and no other domain anything", {
  timeout: TIMEOUT_MS,
}, async () => {
  const chance = createChance("storm");
  const { clock, acme, peers } = await startAround("partner.test", "elsewhere.test");
  const [partner, elsewhere] = peers as [Peer, Peer];
  const sealed = await sealMany(await keysOf(acme.person, partner.person), SHARES, clock.now());
  const watching = watchReceived(partner.person);
  for (const { line } of [acme, partner]) line.weather({ chance });

  const sending = sendUntilAcknowledged(sealed, [acme.person.node]);
  await sending.done;
  for (let i = 0; i < 3; i++) {
    const content = { kind: "text", text: "how is the weather?" } as const;
    await delivered(
      acme.person,
      (await acme.person.account.shares.send(elsewhere.person.address, content)).shareId,
    );
  }
  await hourByHour(clock, async () => watching.ids.length >= SHARES / 2);
  for (const { line } of [acme, partner]) line.weather("clear");
  await hourByHour(clock, async () => {
    const { shares } = await acme.person.account.shares.list("sent", { undeliveredOnly: true });
    return shares.length === 0;
  });

  await vi.waitFor(() => expect(watching.ids).toHaveLength(SHARES), PATIENCE);
  await watching.stop();
  await expectEachOnce(partner.person, sending.acknowledged);
  await expectWatchedOnce(watching, sending.acknowledged);
  await expectAllDelivered(acme.person);
});

it("a peer that never answers, too late, or noise, or is gone for hours, gets its shares when that is over", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { clock, acme, peers } = await startAround(
    ...["silent.test", "late.test", "noisy.test", "gone.test", "sound.test"],
  );
  const [silent, late, noisy, gone, sound] = peers as [Peer, Peer, Peer, Peer, Peer];
  const send = async ({ person }: Peer) => {
    const content = { kind: "text", text: "are you there?" } as const;
    return (await acme.person.account.shares.send(person.address, content)).shareId;
  };
  const troubles = new Map<Peer, { readonly weather: Weather; readonly message: RegExp }>([
    [silent, { weather: "silent", message: /did not answer in time/ }],
    [late, { weather: "held", message: /did not answer in time/ }],
    [noisy, { weather: "garbled", message: /does not speak HTTP|broke|no connection|none of this protocol/ }],
    [gone, { weather: "down", message: /cannot be connected to|no connection|broke/ }],
  ]);
  const sent = new Map<Peer, Uint8Array[]>();
  for (const peer of peers) {
    const first = await send(peer);
    await delivered(acme.person, first);
    sent.set(peer, [first]);
  }

  for (const [{ line }, { weather }] of troubles) {
    line.weather(weather);
    if (weather === "down") line.cut();
  }
  for (const peer of peers) for (let i = 0; i < 3; i++) sent.get(peer)?.push(await send(peer));
  for (const shareId of sent.get(sound) ?? []) await delivered(acme.person, shareId);
  for (const [peer, { message }] of troubles) {
    for (const shareId of sent.get(peer)?.slice(1) ?? []) {
      await vi.waitFor(async () => {
        const status = await acme.person.account.shares.status(shareId);
        expect(status.message).toMatch(message);
        expect([DeliveryState.QUEUED, DeliveryState.DELIVERING]).toContain(status.state);
      }, PATIENCE);
    }
  }
  /** One of what waits is tried at a time, for all of it. */
  const attempts = async () => {
    const { shares } = await acme.person.account.shares.list("sent", { undeliveredOnly: true });
    const waiting = shares.filter(({ recipient }) => recipient === gone.person.address);
    return waiting.reduce((sum, { delivery }) => sum + (delivery?.attempts ?? 0), 0);
  };
  for (let hour = 0; hour < HOURS_DOWN; hour++) {
    const before = await attempts();
    clock.move(BACKOFF_MAX_MS + 1);
    await expect.poll(attempts, PATIENCE).toBeGreaterThan(before);
  }

  for (const { line } of troubles.keys()) line.weather("clear");
  await hourByHour(clock, async () => {
    const { shares } = await acme.person.account.shares.list("sent", { undeliveredOnly: true });
    return shares.length === 0;
  });
  for (const [{ person }, shareIds] of sent) await expectEachOnce(person, new Set(shareIds.map(toHex)));
});
