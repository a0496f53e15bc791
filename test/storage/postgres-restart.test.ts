// PostgreSQL going down in the middle of the work, and coming back.

import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../src/logger.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createPostgresHints } from "../../src/storage/postgres-hints.ts";
import { acceptance, createAccount, enqueue, MAX_BYTES, NOW, range } from "./fixtures.ts";
import { type OwnPostgresServer, startOwnPostgres } from "./postgres.ts";

let server: OwnPostgresServer;

beforeAll(async () => {
  server = await startOwnPostgres();
}, 120_000);
afterAll(() => server?.stop());

test.each(["fast", "immediate"] as const)(
  "what was acknowledged before and during a restart (%s) is there once, and errors meanwhile are such as may be tried again",
  async (mode) => {
    const url = await server.createDatabase();
    const storages = [await openStorage({ url }), await openStorage({ url })] as const;
    const hints = createPostgresHints({ url, log: silentLogger });
    let gaps = 0;
    hints.onGap(() => {
      gaps += 1;
    });
    try {
      const bob = await createAccount(storages[0], "bob@partner.test");
      const alice = await createAccount(storages[0], "alice@acme.test");
      await expect.poll(() => gaps, { timeout: 30_000 }).toBe(1);
      const received: Uint8Array[] = [];
      const sent: Uint8Array[] = [];
      const failures: unknown[] = [];
      let done = false;
      /** Does something until it is acknowledged, as a caller would that tries again. */
      const insist = async (work: () => Promise<unknown>) => {
        for (;;) {
          try {
            return await work();
          } catch (error) {
            failures.push(error);
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }
      };
      const workers = range(0, 7).map(async (i) => {
        const storage = storages[i % 2]!;
        while (!done) {
          const one = acceptance(bob);
          await insist(() => storage.received.accept([one]));
          received.push(one.envelope.shareId);
          const { envelope } = acceptance(bob);
          await insist(() =>
            storage.outbox.enqueue({
              accountId: alice,
              envelope,
              recipientDomain: "partner.test",
              stampNonce: undefined,
              now: NOW,
              maxStoredBytes: MAX_BYTES,
              maxContacts: 10,
            }),
          );
          sent.push(envelope.shareId);
          await storage.received.list(bob, { limit: 5, now: NOW }).catch((error) => failures.push(error));
        }
      });
      const progress = async (count: number) => {
        const target = received.length + count;
        await expect.poll(() => received.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(target);
      };
      await progress(20);
      await server.restart(mode);
      await progress(20);
      done = true;
      await Promise.all(workers);

      for (const failure of failures) {
        expect(failure).toBeInstanceOf(StorageError);
        expect(failure).toMatchObject({ reason: "DATABASE_UNAVAILABLE", retryable: true });
      }
      const shares = await storages[0].received.after(bob, { after: 0, limit: 10_000, now: NOW });
      expect(shares.map(({ sequence }) => sequence)).toEqual(range(1, received.length));
      expect(new Set(shares.map(({ shareId }) => hex(shareId)))).toEqual(new Set(received.map(hex)));
      const listed = await storages[1].outbox.list(alice, { limit: 10_000 });
      expect(listed.map(({ shareId }) => hex(shareId)).sort()).toEqual(sent.map(hex).sort());
      // Whoever listens knows that there was something to miss.
      await expect.poll(() => gaps, { timeout: 30_000 }).toBeGreaterThan(1);
      await expect.poll(() => hints.connected, { timeout: 30_000 }).toBe(true);
    } finally {
      await hints.close();
      for (const storage of storages) await storage.close();
    }
  },
);

test("a lease outlives the server, and what was paused past it settles nothing", async () => {
  const url = await server.createDatabase();
  const [paused, other] = [await openStorage({ url }), await openStorage({ url })];
  try {
    const alice = await createAccount(paused, "alice@acme.test");
    const { shareId } = await enqueue(paused, alice);
    const lease = { destination: "partner.test", leaseMs: 60_000, limit: 10, maxBytes: MAX_BYTES };
    const [held] = await paused.outbox.lease({ ...lease, token: "paused", now: NOW });
    await server.restart("immediate");
    expect(await other.outbox.lease({ ...lease, token: "early", now: NOW + 59_999 })).toEqual([]);
    expect(await other.outbox.lease({ ...lease, token: "other", now: NOW + 60_000 })).toHaveLength(1);
    const rejected = { kind: "rejected", reason: 1, message: "" } as const;
    const late = [{ outboxId: held!.outboxId, update: rejected }];
    expect(await paused.outbox.settle("paused", late, NOW + 60_001)).toBe(0);
    expect(await paused.outbox.renew("paused", 60_000, NOW + 60_001)).toBe(0);
    await paused.outbox.release("paused", NOW + 60_001);
    expect((await other.outbox.status(alice, shareId))!.state).toBe("DELIVERING");
    const delivered = [{ outboxId: held!.outboxId, update: { kind: "delivered" } as const }];
    expect(await other.outbox.settle("other", delivered, NOW + 60_002)).toBe(1);
    expect((await paused.outbox.status(alice, shareId))!.state).toBe("DELIVERED");
  } finally {
    await paused.close();
    await other.close();
  }
});

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}
