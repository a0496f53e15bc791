// Several nodes of one domain on one PostgreSQL: what one is told the others know, and a server that goes down in the middle
// costs its callers a retry and nothing else.

import { rm } from "node:fs/promises";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { nodeClients } from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { reasonOf } from "../../src/services/errors.ts";
import { type OwnPostgresServer, psql, startOwnPostgres } from "../storage/postgres.ts";
import { environment, PATIENCE, type Person, seal, shareIds, signUp } from "../support/clients.ts";
import { freePort, startTestNode, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 240_000;
/** Well below the minute that look-ups live while hints arrive. */
const SOON = { timeout: 20_000, interval: 25 } as const;

describe("nodes on one PostgreSQL", () => {
  let server: OwnPostgresServer;
  let database: string;
  let nodes: TestNode[];
  let partner: TestNode;
  let alice: Person;
  let bob: Person;
  /** Alice at each of her domain's nodes, with the same session. */
  let atEach: ReturnType<typeof nodeClients>[];

  beforeAll(async () => {
    server = await startOwnPostgres();
    database = await server.createDatabase();
    const ports = { first: await freePort(), second: await freePort(), partner: await freePort() };
    const resolve = new Map([
      ["acme.test", `http://127.0.0.1:${ports.first}`],
      ["partner.test", `http://127.0.0.1:${ports.partner}`],
    ]);
    nodes = [];
    for (const port of [ports.first, ports.second]) {
      nodes.push(await startTestNode({ domain: "acme.test", port, resolve, database }));
    }
    partner = await startTestNode({ domain: "partner.test", port: ports.partner, resolve });
    const env = environment([nodes[0]!, partner]);
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
    atEach = nodes.map(({ apiUrl }) =>
      nodeClients(env, apiUrl, () => alice.signedIn.credentials.sessionToken),
    );
    await listening();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await partner?.remove();
    // These had reason to complain: their database was gone for a while.
    for (const node of nodes ?? []) {
      await node.stop();
      await rm(node.folder, { recursive: true, force: true });
    }
    await server?.stop();
  }, TIMEOUT_MS);

  const LISTENERS = "select pid from pg_stat_activity where application_name = 'keypears-hints'";
  const listening = () =>
    vi.waitFor(async () => expect(await psql(database, LISTENERS)).toHaveLength(2), PATIENCE);
  const activeNumbers = () =>
    Promise.all(
      atEach.map(async ({ keySets }) => {
        const { published } = await keySets.getKeySet({ address: alice.address });
        return published?.activeNumber;
      }),
    );

  it("answer with new keys as soon as one of them has published them", { timeout: TIMEOUT_MS }, async () => {
    expect(await activeNumbers()).toEqual([1, 1]);
    await alice.account.rotateKeys();
    await expect.poll(activeNumbers, SOON).toEqual([2, 2]);
  });

  it("answer with new keys too when nobody could tell them", { timeout: TIMEOUT_MS }, async () => {
    expect(await activeNumbers()).toEqual([2, 2]);
    await psql(database, `select pg_terminate_backend(pid) from (${LISTENERS}) as listeners`);
    await alice.account.rotateKeys();
    await expect.poll(activeNumbers, SOON).toEqual([3, 3]);
    await listening();
  });

  it("lose no share when PostgreSQL goes down and comes back, and deliver each once", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const acknowledged: string[] = [];
    const reasons = new Set<string | undefined>();
    let stopped = false;
    const senders = [0, 1, 2, 3].map(async (i) => {
      while (!stopped) {
        const { envelope, shareId } = await seal(alice, bob, { kind: "text", text: "once" });
        for (;;) {
          const failure = await atEach[i % 2]!.shares.sendShare({ envelope }).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (failure === undefined) break;
          reasons.add(failure instanceof ConnectError ? reasonOf(failure) : String(failure));
        }
        acknowledged.push(toHex(shareId));
      }
    });
    for (const mode of ["fast", "immediate"] as const) {
      const before = acknowledged.length;
      await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 10), PATIENCE);
      await server.restart(mode);
    }
    const before = acknowledged.length;
    await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 10), PATIENCE);
    stopped = true;
    await Promise.all(senders);

    // What callers saw says that it is worth trying again.
    expect([...reasons].filter((reason) => reason !== "DATABASE_UNAVAILABLE")).toEqual([]);
    await expect
      .poll(async () => (await shareIds(bob)).length, { ...PATIENCE, timeout: 180_000 })
      .toBe(acknowledged.length);
    expect((await shareIds(bob)).sort()).toEqual([...acknowledged].sort());
    await listening();
  });
});
