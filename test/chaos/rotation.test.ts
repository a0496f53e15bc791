// Keys that change on either side while the two nodes cannot reach each other for two days: a share that was acknowledged
// arrives, or its sender is told that its keys are retired and seals it again. None is lost without a word.

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeliveryState, type Environment, RejectionReason } from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { sealShare } from "../../src/protocol/seal.ts";
import { type Person, seal, shareIds, signUp } from "../support/clients.ts";
import { freePort, type TestNode } from "../support/nodes.ts";
import { createChance, measure } from "./chance.ts";
import { clearEnvironment, createClock, type MovableClock, startClockedNode } from "./clock.ts";
import { type Line, openLine } from "./line.ts";

const TIMEOUT_MS = measure(120_000, 600_000);
const ROUNDS = measure(2, 25);
const HOUR = 3_600_000;
const DAYS_APART = 2;
const UNDER_WAY: ReadonlySet<DeliveryState> = new Set([DeliveryState.QUEUED, DeliveryState.DELIVERING]);

/** Something that happens while the nodes are apart. */
type Event =
  | "alice rotates"
  | "alice revokes"
  | "bob rotates"
  | "bob revokes"
  | "alice sends"
  | "alice sends to old keys";
const EVENTS: readonly Event[] = [
  "alice rotates",
  "alice revokes",
  "bob rotates",
  "bob revokes",
  "alice sends",
  "alice sends to old keys",
];

/** What became of a share. */
type Fate = "arrived" | "sealed again";

describe("keys that change while two nodes are apart", () => {
  let clock: MovableClock;
  let nodes: readonly [TestNode, TestNode];
  /** From partner.test to acme.test, and from acme.test to partner.test. */
  let lines: readonly [Line, Line];
  let env: Environment;
  let rounds = 0;

  beforeAll(async () => {
    clock = createClock();
    const domains = ["acme.test", "partner.test"];
    const ports = [await freePort(), await freePort()];
    const opened = await Promise.all(ports.map((port) => openLine(() => port)));
    const resolve = new Map(domains.map((domain, i) => [domain, (opened[i] as Line).origin]));
    const started = await Promise.all(
      domains.map((domain, i) =>
        startClockedNode({
          domain,
          port: ports[i] as number,
          clock,
          resolve,
          origin: (opened[i] as Line).origin,
        }),
      ),
    );
    lines = opened as [Line, Line];
    nodes = started as [TestNode, TestNode];
    env = clearEnvironment(nodes, clock);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all((nodes ?? []).map((node) => node.remove()));
    await Promise.all((lines ?? []).map((line) => line.close()));
  }, TIMEOUT_MS);

  function apart(): void {
    for (const line of lines) {
      line.weather("down");
      line.cut();
    }
  }

  /** Two people who know each other, with keys that are a day old. */
  async function makeFriends(): Promise<{ alice: Person; bob: Person }> {
    rounds += 1;
    const [alice, bob] = await Promise.all([
      signUp(env, `alice-${rounds}@acme.test`),
      signUp(env, `bob-${rounds}@partner.test`),
    ]);
    await bob.account.contacts.accept(alice.address);
    clock.move(24 * HOUR);
    return { alice, bob };
  }

  /** Lets things happen over two days without a connection, and follows every share until bob has it. */
  async function live(events: readonly Event[]): Promise<Fate[]> {
    const { alice, bob } = await makeFriends();
    const old = await seal(alice, bob, { kind: "text", text: "made before" }, { createdAt: clock.now() });
    apart();
    const sent: Uint8Array[] = [];
    const happen: Readonly<Record<Event, () => Promise<unknown>>> = {
      "alice rotates": () => alice.account.rotateKeys(),
      "alice revokes": () => alice.account.rotateKeys({ revokePrevious: true }),
      "bob rotates": () => bob.account.rotateKeys(),
      "bob revokes": () => bob.account.rotateKeys({ revokePrevious: true }),
      async "alice sends"() {
        const { shareId } = await alice.account.shares.send(bob.address, { kind: "text", text: "hello" });
        sent.push(shareId);
      },
      /** As a client does that looked bob up a while ago. */
      async "alice sends to old keys"() {
        const ring = await alice.account.keyRing();
        const [{ keySet: recipient }] = await bob.account.keyRing();
        const { envelope, shareId } = sealShare({
          content: { kind: "text", text: "to the keys of the day before" },
          sender: ring.at(-1) ?? ring[0],
          recipient,
          createdAt: clock.now(),
          expiresAt: 0,
        });
        await alice.node.shares.sendShare({ envelope });
        sent.push(shareId);
      },
    };
    const { shareId } = await alice.node.shares.sendShare({ envelope: old.envelope });
    sent.push(shareId);
    for (const event of events) {
      await happen[event]();
      clock.move(Math.floor((DAYS_APART * 24 * HOUR) / events.length));
    }
    for (const line of lines) line.weather("clear");
    const fates: Fate[] = [];
    for (const id of sent) fates.push(await follow(alice, id));
    const received = await shareIds(bob);
    expect(new Set(received).size).toBe(received.length);
    expect(received).toHaveLength(sent.length);
    for (const id of received) await bob.account.shares.open(Buffer.from(id, "hex"));
    return fates;
  }

  /** Waits for the end of a delivery; what was refused for its keys is sealed again, and that has to arrive. */
  async function follow(alice: Person, shareId: Uint8Array): Promise<Fate> {
    const first = await end(alice, shareId);
    if (first.state === DeliveryState.DELIVERED) return "arrived";
    expect(first).toMatchObject({
      state: DeliveryState.REJECTED,
      rejectionReason: RejectionReason.KEY_RETIRED,
      message: expect.stringMatching(/seal it again/),
    });
    const again = await alice.account.shares.sendAgain(shareId);
    expect(toHex(again.shareId)).not.toBe(toHex(shareId));
    expect(await end(alice, again.shareId)).toMatchObject({ state: DeliveryState.DELIVERED });
    return "sealed again";
  }

  /** The end of a delivery, whose next attempt may be an hour away each time. */
  async function end(alice: Person, shareId: Uint8Array) {
    for (let looks = 1; ; looks++) {
      const status = await alice.account.shares.status(shareId);
      if (!UNDER_WAY.has(status.state)) return status;
      if (looks % 50 === 0) clock.move(HOUR);
      await delay(100);
    }
  }

  it.each<[string, readonly Event[], readonly Fate[]]>([
    [
      "once each, arrive all the same",
      ["alice rotates", "bob rotates", "alice sends"],
      ["arrived", "arrived"],
    ],
    [
      "since the sender's were stolen, are sealed again",
      ["alice revokes", "alice sends"],
      ["sealed again", "arrived"],
    ],
    [
      "since the recipient's were stolen, are sealed again",
      ["bob revokes", "alice sends"],
      ["sealed again", "arrived"],
    ],
    [
      "before a share is sealed to the old ones, are sealed again",
      ["bob rotates", "alice sends to old keys"],
      ["arrived", "sealed again"],
    ],
  ])("%s", { timeout: TIMEOUT_MS }, async (_, events, fates) => {
    expect(await live(events)).toEqual(fates);
  });

  it("whenever and however often, lose nothing without a word", { timeout: TIMEOUT_MS }, async () => {
    const chance = createChance("rotation");
    for (let round = 0; round < ROUNDS; round++) {
      const events = Array.from({ length: 2 + chance.below(6) }, () => chance.one(EVENTS));
      const fates = await live(events).catch((error: unknown) => {
        throw new Error(`after: ${events.join(", ")}`, { cause: error });
      });
      expect(fates).toHaveLength(1 + events.filter((event) => event.startsWith("alice sends")).length);
    }
  });

  it("wait where the recipient's node cannot ask for the sender's new ones", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { alice, bob } = await makeFriends();
    lines[0].weather("down");
    lines[0].cut();
    await alice.account.rotateKeys();
    const { shareId } = await alice.account.shares.send(bob.address, { kind: "text", text: "new keys" });
    await expect
      .poll(async () => (await alice.account.shares.status(shareId)).message, { timeout: TIMEOUT_MS })
      .toMatch(/key set/);
    clock.move(DAYS_APART * 24 * HOUR);
    await expect
      .poll(async () => (await alice.account.shares.status(shareId)).attempts, { timeout: TIMEOUT_MS })
      .toBeGreaterThan(1);
    lines[0].weather("clear");
    expect(await follow(alice, shareId)).toBe("arrived");
    expect(await shareIds(bob)).toEqual([toHex(shareId)]);
  });
});
