// WatchShares against two nodes on one database, while both accept shares as fast as they can: whoever reads a little, loses
// its connection and goes on behind what it saw last, at whichever node, has seen every share once and in order.

import { create } from "@bufbuild/protobuf";
import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ShareService, WatchSharesRequestSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { type AuthenticatedSession, callerKey, type ServiceContext } from "../../src/services/context.ts";
import { createAccountEvents } from "../../src/services/events.ts";
import { createShareWatch } from "../../src/services/watch.ts";
import type { Storage } from "../../src/storage/open.ts";
import {
  acceptance,
  type Backend,
  createAccount,
  fileBackend,
  NOW,
  postgresBackend,
  range,
  Storages,
  session,
} from "../storage/fixtures.ts";
import { startPostgres } from "../storage/postgres.ts";
import { startNode, type TestNode } from "./node.ts";

const TIMEOUT_MS = 120_000;
const BACKENDS: [string, () => Promise<Backend>][] = [
  ["SQLite", fileBackend],
  ["PostgreSQL", async () => postgresBackend(await startPostgres())],
];

/** What one of the nodes does next: accepts a batch for the one who watches and for somebody else. */
const batches = fc.array(
  fc.record({
    node: fc.constantFrom(0, 1),
    own: fc.integer({ min: 0, max: 6 }),
    others: fc.integer({ min: 0, max: 3 }),
    othersFirst: fc.boolean(),
  }),
  { minLength: 30, maxLength: 50 },
);
/** How a watcher connects, again and again: at which node, and for how many shares. */
const visits = fc.array(
  fc.record({ node: fc.constantFrom(0, 1), shares: fc.integer({ min: 1, max: 130 }) }),
  { minLength: 5, maxLength: 20 },
);

describe.each(BACKENDS)("watching shares on %s, over broken connections and two nodes", (_, start) => {
  let backend: Backend;
  let storages: Storages;
  let node: TestNode;
  beforeAll(async () => {
    backend = await start();
    storages = new Storages(backend);
    node = await startNode();
  }, TIMEOUT_MS);
  afterEach(() => storages.close());
  afterAll(async () => {
    await node.close();
    await backend.stop();
  }, TIMEOUT_MS);

  it("leaves nothing out and repeats nothing", { timeout: TIMEOUT_MS }, async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.array(visits, { minLength: 3, maxLength: 3 }), async (work, watchers) => {
        const pair = await storages.pair();
        const own = session();
        const bob = await createAccount(pair[0], "bob@partner.test", { session: own });
        const carol = await createAccount(pair[0], "carol@partner.test");
        // What one node accepts the other learns by polling only.
        const nodes = pair.map((stores) => openNode(node.context, stores));
        const total = work.reduce((sum, batch) => sum + batch.own, 0);

        const accepting = work.map(async ({ node: at, own: count, others, othersFirst }) => {
          const mine = range(1, count).map(() => acceptance(bob));
          const theirs = range(1, others).map(() => acceptance(carol));
          await pair[at]!.received.accept(othersFirst ? [...theirs, ...mine] : [...mine, ...theirs]);
          nodes[at]!.events.emit(bob, { kind: "share" });
        });
        const watching = watchers.map(async (plan) => {
          const seen: number[] = [];
          for (let visit = 0; seen.length < total; visit++) {
            const { node: at, shares } = plan[visit % plan.length]!;
            const opened = await pair[at]!.sessions.byTokenHash(own.tokenHash, NOW);
            const wanted = Math.min(shares, total - seen.length);
            const caller = { ...opened!, tokenHash: own.tokenHash };
            seen.push(...(await nodes[at]!.read(caller, seen.at(-1) ?? 0, wanted)));
          }
          return seen;
        });

        await Promise.all(accepting);
        for (const seen of await Promise.all(watching)) expect(seen).toEqual(range(1, total));
        await storages.close();
      }),
      { numRuns: 3, endOnFailure: true },
    );
  });
});

/** A node as far as watching goes. */
function openNode(base: ServiceContext, stores: Storage) {
  const events = createAccountEvents();
  const watch = createShareWatch({ ...base, stores, events, clock: () => NOW, watchPollMs: 10 });
  return {
    events,
    /** Reads so many shares behind a cursor, and then breaks the connection, which has more to give or not. */
    async read(caller: AuthenticatedSession, after: number, wanted: number): Promise<number[]> {
      const leaving = new AbortController();
      const call = createHandlerContext({
        service: ShareService,
        method: ShareService.method.watchShares,
        protocolName: "test",
        requestMethod: "POST",
        url: "http://localhost/",
        requestSignal: leaving.signal,
        contextValues: createContextValues().set(callerKey, {
          sourcePrefix: "192.0.2.0/24",
          connectionId: "c1",
          session: caller,
        }),
      });
      const request = create(WatchSharesRequestSchema, { afterSequence: BigInt(after) });
      const messages = watch(request, call)[Symbol.asyncIterator]();
      const seen: number[] = [];
      await messages.next();
      while (seen.length < wanted) {
        const { value } = await messages.next();
        if (value?.event?.case === "share") seen.push(Number(value.event.value.sequence));
      }
      leaving.abort();
      await messages.return?.();
      return seen;
    },
  };
}
