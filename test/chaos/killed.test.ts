// Nodes that are killed at any moment: every share that a sender's node has acknowledged is in the recipient's list once, and
// whoever watches the recipient's node hears of each once.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PostgresServer, startPostgres } from "../storage/postgres.ts";
import { environment, type Person, signUp } from "../support/clients.ts";
import { letAnHourPass, query } from "../support/database.ts";
import { freePort } from "../support/nodes.ts";
import { type ServedNode, serveNode } from "../support/served-node.ts";
import { createChance, measure } from "./chance.ts";
import {
  askForAnother,
  expectAllDelivered,
  expectEachOnce,
  expectNoFault,
  expectWatchedOnce,
  keysOf,
  sealMany,
  sendUntilAcknowledged,
  watchReceived,
} from "./correspondence.ts";

const TIMEOUT_MS = measure(240_000, 1_800_000);
const SHARES = measure(400, 20_000);
const KILLS = measure(6, 50);
/** Senders wait for those that are on the way: nodes are to be killed while they deliver. */
const MAX_UNDER_WAY = 1_000;
/** With nothing new for so long, all that is left waits for something that only time brings. */
const STALLED_MS = 2_000;
const MAX_PAUSE_MS = 100;
const DOMAINS = ["acme.test", "partner.test"] as const;

const UNLIMITED = [
  ["--sends-per-second", "1000000", "--send-burst", "1000000"],
  ["--recipient-deliveries-per-second", "1000000", "--recipient-delivery-burst", "1000000"],
  ["--deliveries-per-second", "1000000", "--delivery-burst", "1000000"],
  ["--max-account-bytes", "1000000000"],
].flat();

describe.each(["SQLite", "PostgreSQL"])("nodes on %s that are killed", (kind) => {
  let folder: string;
  let postgres: PostgresServer | undefined;
  let acme: ServedNode;
  let partner: ServedNode;
  let databases: readonly string[];
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-killed-"));
    if (kind === "PostgreSQL") postgres = await startPostgres();
    const ports = [await freePort(), await freePort()];
    const resolve = new Map(DOMAINS.map((domain, i) => [domain, `http://127.0.0.1:${ports[i]}`]));
    const places = await Promise.all(
      DOMAINS.map(async (domain) => ({
        folder: join(folder, domain),
        database: await postgres?.createDatabase(),
      })),
    );
    databases = places.map((place) => place.database ?? `sqlite:${join(place.folder, "node.sqlite")}`);
    const nodes = DOMAINS.map((domain, i) =>
      serveNode({
        domain,
        port: ports[i] ?? 0,
        resolve,
        flags: UNLIMITED,
        ...(places[i] as (typeof places)[0]),
      }),
    );
    [acme, partner] = nodes as [ServedNode, ServedNode];
    await Promise.all([acme.start(), partner.start()]);
    const env = environment([acme, partner]);
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
    await bob.account.contacts.accept(alice.address);
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const node of [acme, partner]) if (node?.pid !== undefined) await node.end("SIGKILL");
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  it("lose no share and store none twice", { timeout: TIMEOUT_MS }, async () => {
    const chance = createChance(`killed on ${kind}`);
    const sealed = await sealMany(await keysOf(alice, bob), SHARES);
    const watching = watchReceived(bob);
    const sending = sendUntilAcknowledged(sealed, [alice.node], {
      mayGoOn: (acknowledged) => acknowledged - watching.ids.length < MAX_UNDER_WAY,
    });
    /** Each share counts when it is acknowledged and when it has arrived, so that some kills come after the last is sent. */
    const progress = () => sending.acknowledged.size + watching.ids.length;

    async function reach(wanted: number): Promise<void> {
      for (let before = progress(), since = Date.now(); progress() < wanted; await delay(1)) {
        const now = progress();
        if (now !== before) [before, since] = [now, Date.now()];
        if (Date.now() < since + STALLED_MS) continue;
        await letAnHourPass(databases[0] as string);
        await askForAnother(alice);
        since = Date.now();
      }
    }

    const refused = sending.done.then(() => new Promise<never>(() => {}));
    const moments = Array.from({ length: KILLS }, () => 1 + chance.below(2 * SHARES - 1));
    for (const moment of moments.sort((a, b) => a - b)) {
      await Promise.race([reach(moment), refused]);
      await delay(chance.below(MAX_PAUSE_MS));
      const victims = chance.one([[acme], [partner], [acme, partner]]);
      for (const { signal } of await Promise.all(victims.map((node) => node.end("SIGKILL")))) {
        expect(signal).toBe("SIGKILL");
      }
      await Promise.all(victims.map((node) => node.start()));
    }
    await sending.done;
    await reach(2 * SHARES);
    await watching.stop();

    expect(sending.acknowledged.size).toBe(SHARES);
    await expectEachOnce(bob, sending.acknowledged);
    await expectWatchedOnce(watching, sending.acknowledged);
    await expect
      .poll(() => letAnHourPass(databases[0] as string).then(() => expectAllDelivered(alice)), {
        timeout: TIMEOUT_MS,
        interval: 2_000,
      })
      .toBeUndefined();
    for (const node of [acme, partner]) expectNoFault(node.words());
    for (const database of databases.filter((url) => url.startsWith("sqlite:"))) {
      expect(await query(database, "pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    }
  });
});
