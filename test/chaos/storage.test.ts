// Whole nodes whose database has no room left, or takes no writes: callers are told so in words that say when to come back,
// nothing is acknowledged that is not stored, reading goes on, and so does all else by itself once the cause is gone.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { reasonOf } from "../../src/services/errors.ts";
import { type OwnPostgresServer, psql, startOwnPostgres } from "../storage/postgres.ts";
import { environment, type Person, seal, shareIds, signUp } from "../support/clients.ts";
import { letAnHourPass } from "../support/database.ts";
import { startTestNodes, type TestNode } from "../support/nodes.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { measure } from "./chance.ts";
import { askForAnother, expectAllDelivered, expectEachOnce, expectNoFault } from "./correspondence.ts";

const TIMEOUT_MS = 240_000;
const PATIENCE = { timeout: 120_000, interval: 1_000 } as const;
const MIB = 1024 * 1024;
const DISK_BYTES = 12 * MIB;
/** So large that few of them fill the disk. */
const TEXT = "x".repeat(200_000);
const REFUSALS = measure(3, 20);
/** More than the disk holds. */
const FLOOD = 80;
const DOMAINS = ["acme.test", "partner.test"] as const;

type Kind = "SQLite" | "PostgreSQL";

const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
}, TIMEOUT_MS);

/** Alice's node and bob's, each with the database that it is given. */
async function startPair(databases: Readonly<Record<string, string>>) {
  const flags = { "max-account-bytes": 1_000_000_000 };
  const nodes = await startTestNodes(
    ...DOMAINS.map((domain) => {
      const database = databases[domain];
      return { domain, flags, ...(database !== undefined && { database }) };
    }),
  );
  // They had reason to complain.
  ends.push(async () => {
    for (const node of nodes) {
      await node.stop();
      await rm(node.folder, { recursive: true, force: true });
      expectNoFault(node.log.join(""));
    }
  });
  const env = environment(nodes);
  const [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
  await bob.account.contacts.accept(alice.address);
  return { acme: nodes[0] as TestNode, alice, bob };
}

async function startServer(): Promise<OwnPostgresServer> {
  const server = await startOwnPostgres();
  ends.push(() => server.stop());
  return server;
}

/** A disk with a database on it; undefined where no disk can be mounted. */
async function smallDatabase(kind: Kind): Promise<{ disk: SmallDisk; database: string } | undefined> {
  const server = kind === "PostgreSQL" ? await startServer() : undefined;
  const disk = await mountSmallDisk(DISK_BYTES, server?.owner);
  if (disk === undefined) return undefined;
  ends.push(() => disk.remove());
  if (server === undefined) return { disk, database: `sqlite:${join(disk.folder, "node.sqlite")}` };
  const database = await server.createDatabase();
  await psql(
    server.url,
    `create tablespace small location '${disk.folder}'`,
    `alter database ${new URL(database).pathname.slice(1)} set default_tablespace = small`,
  );
  return { disk, database };
}

/** Sends a share; answers with its id in hex if it was acknowledged, else with the error. */
async function trySending(alice: Person, bob: Person, text = TEXT): Promise<string | ConnectError> {
  const { envelope, shareId } = await seal(alice, bob, { kind: "text", text });
  try {
    await alice.node.shares.sendShare({ envelope });
    return toHex(shareId);
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
}

/** That a caller is told to come back, and what is the matter. */
function expectComeBack(refusal: unknown, words: RegExp): void {
  if (!(refusal instanceof ConnectError)) throw new Error(`it was not refused: ${String(refusal)}`);
  expect([refusal.code, reasonOf(refusal)]).toEqual([Code.Unavailable, "DATABASE_UNAVAILABLE"]);
  expect(refusal.rawMessage).toMatch(words);
  expect(refusal.findDetails(RetryInfoSchema)).toHaveLength(1);
}

/** Waits until all that was acknowledged is delivered, as time goes by and with a sender who tries again now and then. */
async function untilDelivered(
  { acme, alice, bob }: Awaited<ReturnType<typeof startPair>>,
  acknowledged: ReadonlySet<string>,
): Promise<void> {
  await vi.waitFor(async () => {
    await letAnHourPass(acme.database);
    await askForAnother(alice);
    await expectAllDelivered(alice);
  }, PATIENCE);
  await expectEachOnce(bob, acknowledged);
}

describe.each<Kind>(["SQLite", "PostgreSQL"])("a node whose disk is full, on %s", (kind) => {
  it("acknowledges nothing that it cannot store, and takes shares again when there is room", {
    timeout: TIMEOUT_MS,
  }, async (context) => {
    const small = await smallDatabase(kind);
    if (small === undefined) return context.skip("no disk can be mounted here");
    const pair = await startPair({ "acme.test": small.database });
    const { alice, bob } = pair;
    const acknowledged = new Set<string>();
    const refusals: ConnectError[] = [];
    while (refusals.length < REFUSALS) {
      const answer = await trySending(alice, bob);
      if (typeof answer === "string") acknowledged.add(answer);
      else refusals.push(answer);
    }
    for (const refusal of refusals) expectComeBack(refusal, /no room left/);
    expect(acknowledged.size).toBeGreaterThan(3);
    // What is there can be read, all of it and nothing else.
    expect((await shareIds(alice, "sent")).sort()).toEqual([...acknowledged].sort());

    await small.disk.resize(16 * DISK_BYTES);
    acknowledged.add(String(await trySending(alice, bob)));
    await untilDelivered(pair, acknowledged);
  });

  it("keeps those waiting who deliver to it, and has all of theirs once there is room", {
    timeout: TIMEOUT_MS,
  }, async (context) => {
    const small = await smallDatabase(kind);
    if (small === undefined) return context.skip("no disk can be mounted here");
    const pair = await startPair({ "partner.test": small.database });
    const { alice, bob } = pair;
    const acknowledged = new Set<string>();
    for (let i = 0; i < FLOOD; i++) acknowledged.add(String(await trySending(alice, bob)));
    const { shareId: last } = await vi.waitFor(async () => {
      const { shares } = await alice.account.shares.list("sent", { undeliveredOnly: true });
      const told = shares.find(({ delivery }) => delivery?.message !== "");
      expect(told?.delivery?.message).toMatch(/DATABASE_UNAVAILABLE|again later/);
      return told as NonNullable<typeof told>;
    }, PATIENCE);
    const received = await shareIds(bob);
    expect(received.filter((id) => !acknowledged.has(id))).toEqual([]);
    expect(received).not.toContain(toHex(last));

    await small.disk.resize(16 * DISK_BYTES);
    await untilDelivered(pair, acknowledged);
  });
});

describe("nodes whose PostgreSQL takes no writes", () => {
  it("say so, answer what only reads, and go on when it does again", { timeout: TIMEOUT_MS }, async () => {
    const server = await startServer();
    const databases = {
      "acme.test": await server.createDatabase(),
      "partner.test": await server.createDatabase(),
    };
    const pair = await startPair(databases);
    const { alice, bob } = pair;
    const acknowledged = new Set([String(await trySending(alice, bob, "before"))]);
    await untilDelivered(pair, acknowledged);

    await setReadOnly(databases["partner.test"], "on");
    acknowledged.add(String(await trySending(alice, bob, "for later")));
    await setReadOnly(databases["acme.test"], "on");
    for (let i = 0; i < REFUSALS; i++) {
      expectComeBack(await trySending(alice, bob, "not now"), /takes no writes/);
    }
    expect((await shareIds(alice, "sent")).sort()).toEqual([...acknowledged].sort());
    expect(await shareIds(bob)).toHaveLength(1);

    for (const database of Object.values(databases)) await setReadOnly(database, "off");
    await vi.waitFor(async () => {
      const answer = await trySending(alice, bob, "again");
      expect(answer).not.toBeInstanceOf(ConnectError);
      acknowledged.add(String(answer));
    }, PATIENCE);
    await untilDelivered(pair, acknowledged);
  });

  /** Only new sessions read this setting, as only new ones reach another server after a fail-over. */
  async function setReadOnly(database: string, value: "on" | "off"): Promise<void> {
    const name = new URL(database).pathname.slice(1);
    await psql(
      database,
      "set default_transaction_read_only = off",
      `alter database ${name} set default_transaction_read_only = ${value}`,
    );
    if (value === "off") return;
    await psql(
      database,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and pid <> pg_backend_pid()`,
    );
  }
});
