// News between processes over PostgreSQL: what arrives, what becomes a gap, and what is not believed.

import { once } from "node:events";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Hint, Hints } from "../../src/hints.ts";
import { silentLogger } from "../../src/logger.ts";
import { createPostgresHints, HINT_CHANNEL } from "../../src/storage/postgres-hints.ts";
import { encodeNews, parseNews } from "../../src/storage/postgres-news.ts";
import { range } from "./fixtures.ts";
import { type PostgresServer, psql, startPostgres } from "./postgres.ts";
import { startProxy } from "./proxy.ts";

const WAIT = { timeout: 30_000, interval: 10 };

let server: PostgresServer;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startPostgres();
}, 120_000);
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => server?.stop());

/** A process that listens, and what it heard. */
interface Listener {
  readonly hints: Hints;
  readonly heard: Hint[];
  gaps: number;
}

async function listener(url: string): Promise<Listener> {
  const one: Listener = { hints: createPostgresHints({ url, log: silentLogger }), heard: [], gaps: 0 };
  ends.push(() => one.hints.close());
  one.hints.listen((hint) => one.heard.push(hint));
  one.hints.onGap(() => {
    one.gaps += 1;
  });
  await connected(one);
  return one;
}

const connected = (one: Listener) => expect.poll(() => one.hints.connected, WAIT).toBe(true);
const endListeners = (url: string) =>
  psql(
    url,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'keypears-hints' and datname = current_database()`,
  );

describe("hints over PostgreSQL", () => {
  test("reach every other process and never the one that sent them", async () => {
    const url = await server.createDatabase();
    const [one, two, three] = [await listener(url), await listener(url), await listener(url)];
    const hints: Hint[] = [
      { kind: "share", accountId: 7 },
      { kind: "key-sets", address: "böb@partner.test" },
      { kind: "session-ended", accountId: 7, sessionId: "a".repeat(32) },
      { kind: "notice", accountId: 8 },
    ];
    for (const hint of hints) await one.hints.send(hint);
    for (const other of [two, three]) await expect.poll(() => other.heard, WAIT).toEqual(hints);
    expect(one.heard).toEqual([]);
  });

  test("stay within their database", async () => {
    const one = await listener(await server.createDatabase());
    const url = await server.createDatabase();
    const [two, three] = [await listener(url), await listener(url)];
    await one.hints.send({ kind: "notice", accountId: 1 });
    await two.hints.send({ kind: "share", accountId: 1 });
    await expect.poll(() => three.heard, WAIT).toEqual([{ kind: "share", accountId: 1 }]);
  });

  test("that come at once travel together, the same one once", async () => {
    const url = await server.createDatabase();
    const proxy = await startProxy(url);
    ends.push(() => proxy.close());
    const [one, two] = [await listener(proxy.url), await listener(url)];
    let notifications = 0;
    proxy.onSent = (chunk) => {
      notifications += chunk.toString("latin1").split("pg_notify").length - 1;
      return chunk;
    };
    const accounts = range(1, 300);
    await Promise.all(
      [...accounts, ...accounts].map((id) => one.hints.send({ kind: "share", accountId: id })),
    );
    await expect.poll(() => two.heard.length, WAIT).toBe(300);
    expect(new Set(two.heard.map((hint) => JSON.stringify(hint))).size).toBe(300);
    expect(notifications).toBeLessThan(20);
  });

  test("that are too many to hold become a gap for the others", async () => {
    const url = await server.createDatabase();
    const [one, two] = [await listener(url), await listener(url)];
    const before = two.gaps;
    await Promise.all(range(1, 5_000).map((id) => one.hints.send({ kind: "share", accountId: id })));
    await expect.poll(() => two.gaps, WAIT).toBeGreaterThan(before);
    expect(two.heard.length).toBeLessThan(5_000);
  });

  test("are known to be missing while the listener's connection is cut, and flow again after a gap", async () => {
    const url = await server.createDatabase();
    const [one, two] = [await listener(url), await listener(url)];
    const gaps = [one.gaps, two.gaps];
    for (const round of range(1, 3)) {
      await endListeners(url);
      await expect.poll(() => one.gaps, WAIT).toBeGreaterThanOrEqual(gaps[0]! + round);
      await expect.poll(() => two.gaps, WAIT).toBeGreaterThanOrEqual(gaps[1]! + round);
      await connected(one);
      await connected(two);
      await one.hints.send({ kind: "share", accountId: round });
      await expect.poll(() => two.heard.at(-1), WAIT).toEqual({ kind: "share", accountId: round });
    }
  });

  test("that could not be told are a gap for those who listened all the while", async () => {
    const url = await server.createDatabase();
    const proxy = await startProxy(url);
    ends.push(() => proxy.close());
    const [one, two] = [await listener(proxy.url), await listener(url)];
    const before = two.gaps;
    proxy.onSent = (_, line) => {
      line.cut();
      return Buffer.alloc(0);
    };
    proxy.cut();
    await expect.poll(() => one.hints.connected, WAIT).toBe(false);
    await one.hints.send({ kind: "key-sets", address: "bob@partner.test" });
    expect(two.gaps).toBe(before);
    proxy.onSent = (chunk) => chunk;
    await expect.poll(() => two.gaps, WAIT).toBe(before + 1);
    expect(two.hints.connected).toBe(true);
  });

  test("on a line that died without a word are found missing, and sending does not hang", async () => {
    const proxy = await startProxy(await server.createDatabase());
    ends.push(() => proxy.close());
    const one = await listener(proxy.url);
    proxy.stalled = true;
    await one.hints.send({ kind: "notice", accountId: 1 });
    await expect.poll(() => one.hints.connected, WAIT).toBe(false);
    proxy.stalled = false;
    await connected(one);
  });

  test("are not trusted to a pooler that takes a LISTEN and forgets it", async () => {
    const proxy = await startProxy(await server.createDatabase());
    ends.push(() => proxy.close());
    // The statement keeps its length, and listens to nothing that anybody sends.
    proxy.onSent = (chunk) =>
      Buffer.from(
        chunk.toString("latin1").replace(`listen ${HINT_CHANNEL}`, "listen forgotten_hint"),
        "latin1",
      );
    const warnings: unknown[] = [];
    const log = { ...silentLogger, warn: (fields: unknown) => void warnings.push(fields) };
    const hints = createPostgresHints({ url: proxy.url, log });
    ends.push(() => hints.close());
    await expect
      .poll(() => warnings, WAIT)
      .toContainEqual({ reason: expect.stringContaining("add --no-listen") });
    expect(hints.connected).toBe(false);
  });

  test("wait for a server that is not there yet, and end when asked to", async () => {
    const hints = createPostgresHints({ url: "postgres://u@127.0.0.1:1/x", log: silentLogger });
    await hints.send({ kind: "notice", accountId: 1 });
    expect(hints.connected).toBe(false);
    await hints.close();
  });

  test("from whoever else may write to the channel are looked at twice", async () => {
    const url = await server.createDatabase();
    const one = await listener(url);
    const before = one.gaps;
    const strange = [
      "",
      "null",
      "[]",
      '"gap"',
      '{"from":"x"',
      '{"gap":true}',
      '{"from":"x","hints":"notice"}',
      '{"from":"x","hints":[null,1,{"kind":"share"},{"kind":"share","accountId":-1}]}',
      '{"from":"x","hints":[{"kind":"key-sets","address":""},{"kind":"unheard-of"}]}',
    ];
    await psql(url, ...strange.map((payload) => `select pg_notify('${HINT_CHANNEL}', '${payload}')`));
    await psql(
      url,
      `select pg_notify('${HINT_CHANNEL}', '{"from":"x","hints":[{"kind":"notice","accountId":1}]}')`,
    );
    await expect.poll(() => one.heard, WAIT).toEqual([{ kind: "notice", accountId: 1 }]);
    expect(one.gaps).toBe(before);
  });
});

describe("the payload of a notification", () => {
  const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const text = fc.string({ minLength: 1, maxLength: 320, unit: "grapheme" });
  const hint: fc.Arbitrary<Hint> = fc.oneof(
    fc.record({ kind: fc.constant("key-sets" as const), address: text }),
    fc.record({ kind: fc.constantFrom("share" as const, "notice" as const), accountId: id }),
    fc.record({ kind: fc.constant("session-ended" as const), accountId: id, sessionId: text }),
  );

  test("is small enough for PostgreSQL, and all of them together say what was said", () => {
    fc.assert(
      fc.property(fc.array(hint, { maxLength: 200 }), fc.boolean(), (hints, gap) => {
        const payloads = encodeNews({ from: "0123456789abcdef", hints, gap });
        for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThan(8_000);
        const news = payloads.map((payload) => parseNews(payload)!);
        expect(news.flatMap((one) => one.hints)).toEqual(hints);
        expect(news.some((one) => one.gap)).toBe(gap);
        expect(new Set(news.map((one) => one.from))).toEqual(new Set(["0123456789abcdef"]));
      }),
    );
  });

  test("may be anything at all", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (payload) => {
        parseNews(payload);
      }),
    );
  });
});

test("a socket that refuses all is not in the way of the end", async () => {
  const { createServer } = await import("node:net");
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  const hints = createPostgresHints({ url: `postgres://u@127.0.0.1:${port}/x`, log: silentLogger });
  await hints.close();
  silent.close();
});
