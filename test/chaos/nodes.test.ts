// Two nodes of one domain on one PostgreSQL, in front of a third: one is killed or stands still while it holds leases, the
// server goes down and comes back, the line over which nodes hear of each other is cut. Every share arrives once, and streams
// at either node tell of each once.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Environment, nodeClients, openAccount } from "../../src/client/index.ts";
import { type OwnPostgresServer, psql, startOwnPostgres } from "../storage/postgres.ts";
import { environment, type Person, signUp } from "../support/clients.ts";
import { letAnHourPass } from "../support/database.ts";
import { freePort, startTestNode, type TestNode } from "../support/nodes.ts";
import { type ServedNode, serveNode } from "../support/served-node.ts";
import { createChance, measure } from "./chance.ts";
import {
  expectAllDelivered,
  expectEachOnce,
  expectNoFault,
  expectWatchedOnce,
  keysOf,
  type Sending,
  sealMany,
  sendUntilAcknowledged,
  type Watching,
  watchReceived,
} from "./correspondence.ts";
import { type Line, openLine } from "./line.ts";

const TIMEOUT_MS = measure(240_000, 1_200_000);
const PATIENCE = { timeout: TIMEOUT_MS, interval: 50 } as const;
/** Each way, for each thing that happens. */
const SHARES = measure(60, 200);
const ROUNDS = measure(1, 3);
const STALLED_MS = 2_000;

const UNLIMITED = {
  "sends-per-second": 1_000_000,
  "send-burst": 1_000_000,
  "recipient-deliveries-per-second": 1_000_000,
  "recipient-delivery-burst": 1_000_000,
  "deliveries-per-second": 1_000_000,
  "delivery-burst": 1_000_000,
};

describe("two nodes on one PostgreSQL", () => {
  let folder: string;
  let server: OwnPostgresServer;
  let database: string;
  let pair: readonly [ServedNode, ServedNode];
  let partner: TestNode;
  /** From the pair to partner.test, and from there to whichever node of the pair is chosen. */
  let toPartner: Line;
  let toPair: Line;
  let chosen = 0;
  let env: Environment;
  let alice: Person;
  let bob: Person;
  /** Keys of what goes from alice to bob, and of what comes from him. */
  let out: Awaited<ReturnType<typeof keysOf>>;
  let home: typeof out;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-pair-"));
    server = await startOwnPostgres();
    database = await server.createDatabase();
    const ports = [await freePort(), await freePort()] as const;
    const partnerPort = await freePort();
    toPartner = await openLine(() => partnerPort);
    toPair = await openLine(() => ports[chosen] as number);
    const resolve = new Map([
      ["acme.test", toPair.origin],
      ["partner.test", toPartner.origin],
    ]);
    const flags = Object.entries(UNLIMITED).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const [first, second] = ports.map((port, i) =>
      serveNode({
        domain: "acme.test",
        port,
        folder: join(folder, String(i)),
        resolve,
        database,
        flags: [...flags, "--api-url", `${toPair.origin}/api`],
      }),
    );
    pair = [first as ServedNode, second as ServedNode];
    await pair[0].start();
    partner = await startTestNode({
      domain: "partner.test",
      port: partnerPort,
      resolve,
      flags: { ...UNLIMITED, "api-url": `${toPartner.origin}/api` },
    });
    await pair[1].start();
    const base = environment([{ domain: "acme.test", origin: toPair.origin }, partner]);
    env = {
      ...base,
      // Clients of partner.test have a line of their own.
      resolveDomain: async (domain, signal) =>
        domain === "partner.test" ? { apiUrl: `${partner.origin}/api` } : base.resolveDomain(domain, signal),
    };
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
    await bob.account.contacts.accept(alice.address);
    await alice.account.contacts.accept(bob.address);
    [out, home] = [await keysOf(alice, bob), await keysOf(bob, alice)];
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const node of pair ?? []) if (node.pid !== undefined) await node.end("SIGKILL");
    await partner?.stop();
    await Promise.all([toPartner?.close(), toPair?.close()]);
    await server?.stop();
    await Promise.all([partner?.folder, folder].map((each) => rm(each, { recursive: true, force: true })));
    for (const node of pair ?? []) expectNoFault(node.words());
    expectNoFault(partner?.log.join("") ?? "");
  }, TIMEOUT_MS);

  /** Somebody of the pair's domain, at one of its nodes only. */
  function at(node: ServedNode, { signedIn, ...person }: Person): Person {
    const credentials = { ...signedIn.credentials, apiUrl: `${node.origin}/api` };
    const there = { ...signedIn, credentials };
    return {
      ...person,
      signedIn: there,
      account: openAccount(env, there),
      node: nodeClients(env, credentials.apiUrl, () => credentials.sessionToken),
    };
  }

  const leased = async () =>
    (await psql(database, "select distinct lease_token from sent_shares where state = 'DELIVERING'")).map(
      ({ lease_token }) => String(lease_token),
    );

  /** Waits until the first of the pair holds leases, which the other cannot: it stands still meanwhile. */
  async function holdLeases([holder, other]: readonly [ServedNode, ServedNode]): Promise<string[]> {
    process.kill(other.pid ?? 0, "SIGSTOP");
    try {
      // What the other one held when it was stopped runs out, for the first to take.
      toPartner.weather("held");
      await letAnHourPass(database);
      const sealed = await sealMany(out, 20);
      const sending = sendUntilAcknowledged(sealed, [at(holder, alice).node]);
      await sending.done;
      for (const id of sending.acknowledged) acknowledged.add(id);
      return await vi.waitFor(async () => {
        const tokens = await leased();
        expect(tokens).not.toEqual([]);
        return tokens;
      }, PATIENCE);
    } finally {
      process.kill(other.pid ?? 0, "SIGCONT");
    }
  }

  /** Ids of what alice's nodes acknowledged, over all that happens. */
  const acknowledged = new Set<string>();

  /** Waits until nothing is held under these leases any more, as the other node takes it over. */
  async function takenOver(tokens: readonly string[]): Promise<void> {
    toPartner.weather("clear");
    await letAnHourPass(database);
    await expect
      .poll(async () => (await leased()).filter((token) => tokens.includes(token)), PATIENCE)
      .toEqual([]);
  }

  const happenings: Readonly<Record<string, (nodes: readonly [ServedNode, ServedNode]) => Promise<void>>> = {
    async "one is killed while it holds leases"(nodes) {
      const tokens = await holdLeases(nodes);
      await nodes[0].end("SIGKILL");
      await takenOver(tokens);
      await nodes[0].start();
    },
    async "one stands still past its leases and goes on"(nodes) {
      const tokens = await holdLeases(nodes);
      process.kill(nodes[0].pid ?? 0, "SIGSTOP");
      try {
        await takenOver(tokens);
      } finally {
        process.kill(nodes[0].pid ?? 0, "SIGCONT");
      }
    },
    "PostgreSQL is stopped and started": () => server.restart("fast"),
    "PostgreSQL dies and is started": () => server.restart("immediate"),
    async "nobody hears of anybody"() {
      const listeners = "select pid from pg_stat_activity where application_name = 'keypears-hints'";
      await expect.poll(async () => (await psql(database, listeners)).length, PATIENCE).toBe(2);
      await psql(database, `select pg_terminate_backend(pid) from (${listeners}) as listeners`);
    },
  };

  it("lose no share and deliver none twice, whatever becomes of one of them", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const chance = createChance("two nodes");
    const watchings: Watching[] = [...pair.map((node) => watchReceived(at(node, alice))), watchReceived(bob)];
    const [atFirst, atSecond, atPartner] = watchings as [Watching, Watching, Watching];
    const answered = new Set<string>();

    async function untilAll(sendings: readonly Sending[]): Promise<void> {
      await Promise.all(sendings.map(({ done }) => done));
      for (const id of sendings[0]?.acknowledged ?? []) acknowledged.add(id);
      for (const id of sendings[1]?.acknowledged ?? []) answered.add(id);
      const arrived = () =>
        atPartner.ids.length >= acknowledged.size &&
        Math.min(atFirst.ids.length, atSecond.ids.length) >= answered.size;
      for (let since = Date.now(); !arrived(); await delay(20)) {
        if (Date.now() < since + STALLED_MS) continue;
        await letAnHourPass(database);
        await letAnHourPass(partner.database);
        since = Date.now();
      }
    }

    const course = Array.from({ length: ROUNDS }, () => chance.shuffled(Object.keys(happenings))).flat();
    for (const happening of course) {
      const victim = chance.below(2);
      // Whoever is left takes what comes from outside, as a balancer would have it.
      chosen = 1 - victim;
      toPair.cut();
      const [there, back] = [await sealMany(out, SHARES), await sealMany(home, SHARES)];
      const sendings = [
        sendUntilAcknowledged(
          there,
          pair.map((node) => at(node, alice).node),
          { atOnce: 4 },
        ),
        sendUntilAcknowledged(back, [bob.node], { atOnce: 4 }),
      ];
      const nodes = [pair[victim], pair[1 - victim]] as [ServedNode, ServedNode];
      await (happenings[happening] as (typeof happenings)[string])(nodes).catch((error: unknown) => {
        throw new Error(`when ${happening}`, { cause: error });
      });
      await untilAll(sendings);
    }

    for (const watching of watchings) await watching.stop();
    await expectEachOnce(bob, acknowledged);
    await expectWatchedOnce(atPartner, acknowledged);
    await expectEachOnce(alice, answered);
    for (const watching of [atFirst, atSecond]) await expectWatchedOnce(watching, answered);
    await expect
      .poll(() => letAnHourPass(database).then(() => expectAllDelivered(alice)), {
        ...PATIENCE,
        interval: 2_000,
      })
      .toBeUndefined();
  });
});
