// The cache between callers and discovery documents, against a clock and a fetcher that a test drives by hand.

import { describe, expect, it } from "vitest";
import type { CheckedDocument, FetchDomain } from "../../src/federation/domain-check.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { createResolver, type ResolverLimits } from "../../src/federation/resolver.ts";
import { silentLogger } from "../../src/logger.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import { peerError } from "./network.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

interface PendingFetch {
  readonly domain: string;
  /** A document is of version 2 if it is proven until some time. */
  succeed(apiUrl?: string, maxAgeMs?: number, provenUntil?: number): Promise<void>;
  fail(error?: Error): Promise<void>;
}

/** A resolver whose fetches wait until the test says how they end. */
function createHarness(limits: Partial<ResolverLimits> = {}) {
  let now = 1_700_000_000_000;
  const started: PendingFetch[] = [];
  const signals: AbortSignal[] = [];
  const fetch: FetchDomain = (domain, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<CheckedDocument>();
    if (signal !== undefined) {
      signals.push(signal);
      signal.addEventListener("abort", () =>
        reject(new PeerError("PEER_CALL_CANCELLED", domain, "cancelled")),
      );
    }
    started.push({
      domain,
      async succeed(text = `https://host.test/${domain}`, maxAgeMs, provenUntil) {
        const apiUrl = parseApiUrl(text);
        const how = { maxAgeMs, tlsGroup: "X25519MLKEM768", fetchedUrl: `https://${domain}/` };
        if (provenUntil === undefined)
          resolve({ document: { version: 1, apiUrl }, proof: "unproven", ...how });
        else {
          const document = { version: 2, apiUrl, domainPubKeyHash: "0a".repeat(32) } as const;
          resolve({ document, proof: "proven", provenUntil, ...how });
        }
        await settled();
      },
      async fail(error = new PeerError("PEER_UNREACHABLE", domain, "no connection")) {
        reject(error);
        await settled();
      },
    });
    return promise;
  };
  const resolver = createResolver({ fetch, clock: () => now, log: silentLogger, limits });
  return {
    resolver,
    started,
    signals,
    /** The nth fetch, which must have begun. */
    fetched(index: number): PendingFetch {
      const pending = started[index];
      if (pending === undefined) throw new Error(`only ${started.length} fetches have begun`);
      return pending;
    },
    advance(ms: number) {
      now += ms;
    },
    now: () => now,
  };
}

/** Lets every promise that can settle do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves a domain for the first time. */
async function resolveOnce(harness: ReturnType<typeof createHarness>, domain: string, maxAgeMs?: number) {
  const resolving = harness.resolver.resolve(domain);
  await harness.fetched(harness.started.length - 1).succeed(undefined, maxAgeMs);
  return resolving;
}

describe("a resolved domain", () => {
  it("says where the methods live and how the document came", async () => {
    const harness = createHarness();
    expect(await resolveOnce(harness, "acme.test", 10 * MINUTE)).toEqual({
      domain: "acme.test",
      apiUrl: parseApiUrl("https://host.test/acme.test"),
      documentVersion: 1,
      proof: "unproven",
      fetchedAt: harness.now(),
      freshUntil: harness.now() + 10 * MINUTE,
      tlsGroup: "X25519MLKEM768",
    });
  });

  it.each([
    ["none", undefined, 5 * MINUTE],
    ["too short", 0, MINUTE],
    ["the shortest", MINUTE, MINUTE],
    ["in between", 2 * HOUR, 2 * HOUR],
    ["the longest", 24 * HOUR, 24 * HOUR],
    ["too long", 1_000 * HOUR, 24 * HOUR],
  ])("with a max-age that is %s is fresh for the time within bounds", async (_what, maxAgeMs, freshMs) => {
    const harness = createHarness();
    const { fetchedAt, freshUntil } = await resolveOnce(harness, "acme.test", maxAgeMs);
    expect(freshUntil - fetchedAt).toBe(freshMs);
    harness.advance(freshMs - 1);
    await harness.resolver.resolve("acme.test");
    expect(harness.started).toHaveLength(1);
    harness.advance(1);
    await harness.resolver.resolve("acme.test");
    expect(harness.started).toHaveLength(2);
  });
});

describe("a stale document", () => {
  it("is answered at once, and one fetch behind it brings the next", async () => {
    const harness = createHarness();
    await resolveOnce(harness, "acme.test");
    harness.advance(5 * MINUTE);
    const stale = await Promise.all([
      harness.resolver.resolve("acme.test"),
      harness.resolver.resolve("acme.test"),
    ]);
    expect(stale.map(({ apiUrl }) => apiUrl.href)).toEqual(Array(2).fill("https://host.test/acme.test"));
    expect(harness.started).toHaveLength(2);
    await harness.fetched(1).succeed("https://moved.test/api");
    expect((await harness.resolver.resolve("acme.test")).apiUrl.href).toBe("https://moved.test/api");
    expect(harness.started).toHaveLength(2);
  });

  it("lives until 24 hours beyond its freshness while no other can be had, and then no longer", async () => {
    const harness = createHarness();
    await resolveOnce(harness, "acme.test", HOUR);
    harness.advance(HOUR);
    await harness.resolver.resolve("acme.test");
    await harness.fetched(1).fail();
    harness.advance(24 * HOUR - 1);
    expect((await harness.resolver.resolve("acme.test")).apiUrl.href).toBe("https://host.test/acme.test");
    await harness.fetched(2).fail();
    harness.advance(1);
    // The failure is 1 ms old, and the document gone.
    expect(await peerError(harness.resolver.resolve("acme.test"))).toMatchObject({
      reason: "PEER_UNREACHABLE",
    });
    harness.advance(30 * SECOND);
    const last = harness.resolver.resolve("acme.test");
    await harness.fetched(3).succeed();
    expect((await last).domain).toBe("acme.test");
  });

  it("is refreshed at most every 30 seconds while that fails", async () => {
    const harness = createHarness();
    await resolveOnce(harness, "acme.test");
    harness.advance(5 * MINUTE);
    await harness.resolver.resolve("acme.test");
    await harness.fetched(1).fail();
    for (let second = 0; second < 30; second++) {
      await harness.resolver.resolve("acme.test");
      harness.advance(SECOND);
    }
    expect(harness.started).toHaveLength(2);
    await harness.resolver.resolve("acme.test");
    expect(harness.started).toHaveLength(3);
  });

  it("whose refresh meets a bug is still answered", async () => {
    const harness = createHarness();
    await resolveOnce(harness, "acme.test");
    harness.advance(5 * MINUTE);
    await harness.resolver.resolve("acme.test");
    await harness.fetched(1).fail(new TypeError("a bug"));
    expect((await harness.resolver.resolve("acme.test")).domain).toBe("acme.test");
  });
});

describe("a proven domain", () => {
  it("is fresh, and lives on, no longer than its owner consents", async () => {
    const harness = createHarness();
    const end = harness.now() + HOUR;
    const resolving = harness.resolver.resolve("acme.test");
    await harness.fetched(0).succeed(undefined, 30 * MINUTE, end);
    expect(await resolving).toMatchObject({ documentVersion: 2, proof: "proven" });

    harness.advance(30 * MINUTE);
    await harness.resolver.resolve("acme.test");
    await harness.fetched(1).succeed(undefined, 24 * HOUR, end);
    expect((await harness.resolver.resolve("acme.test")).freshUntil).toBe(end);
    harness.advance(30 * MINUTE);
    const failing = peerError(harness.resolver.resolve("acme.test"));
    await harness.fetched(2).fail();
    expect(await failing).toMatchObject({ reason: "PEER_UNREACHABLE" });
  });

  it.each(["DOMAIN_UNPROVEN", "DOMAIN_DOWNGRADED", "DOMAIN_CHANGED"] as const)(
    "that is refused with %s when its document is refreshed is not used any more",
    async (reason) => {
      const harness = createHarness();
      await resolveOnce(harness, "acme.test");
      harness.advance(5 * MINUTE);
      await harness.resolver.resolve("acme.test");
      const error = new PeerError(reason, "acme.test", "no");
      await harness.fetched(1).fail(error);
      expect(await peerError(harness.resolver.resolve("acme.test"))).toBe(error);
      harness.advance(30 * SECOND);
      const again = harness.resolver.resolve("acme.test");
      await harness.fetched(2).succeed();
      expect((await again).domain).toBe("acme.test");
    },
  );
});

describe("a failure", () => {
  it("is remembered for 30 seconds", async () => {
    const harness = createHarness();
    const first = peerError(harness.resolver.resolve("acme.test"));
    await harness.fetched(0).fail();
    const error = await first;
    harness.advance(30 * SECOND - 1);
    expect(await peerError(harness.resolver.resolve("acme.test"))).toBe(error);
    expect(harness.started).toHaveLength(1);
    harness.advance(1);
    const second = harness.resolver.resolve("acme.test");
    await harness.fetched(1).succeed();
    expect((await second).domain).toBe("acme.test");
  });

  it("that is a bug of this node is passed on as it is and not remembered", async () => {
    const harness = createHarness();
    const first = harness.resolver.resolve("acme.test");
    const rejected = expect(first).rejects.toThrow(TypeError);
    await harness.fetched(0).fail(new TypeError("a bug"));
    await rejected;
    void harness.resolver.resolve("acme.test").catch(() => {});
    expect(harness.started).toHaveLength(2);
  });
});

describe("concurrent look-ups", () => {
  it("of one domain share a fetch, its success and its failure", async () => {
    const harness = createHarness();
    const ask = () =>
      Array.from({ length: 100 }, () => harness.resolver.resolve("acme.test", { source: "a" }));
    const first = Promise.allSettled(ask());
    await harness.fetched(0).fail();
    expect(new Set((await first).map(({ status }) => status))).toEqual(new Set(["rejected"]));
    harness.advance(30 * SECOND);
    const second = Promise.all(ask());
    await harness.fetched(1).succeed();
    expect(new Set(await second).size).toBe(1);
    expect(harness.started).toHaveLength(2);
  });

  it("of uncached domains are at most 8 per source and 64 altogether", async () => {
    const harness = createHarness();
    const { resolver, started } = harness;
    const waiting: Promise<"resolved" | "failed">[] = [];
    const ask = (domain: string, source: string) => {
      waiting.push(
        resolver.resolve(domain, { source }).then(
          () => "resolved",
          () => "failed",
        ),
      );
    };
    for (let source = 0; source < 8; source++) {
      for (let index = 0; index < 8; index++) {
        const domain = `d${index}.s${source}.test`;
        ask(domain, `${source}`);
        if (source === 0 && index === 7) {
          const ninth = await peerError(resolver.resolve("ninth.test", { source: "0" }));
          expect(ninth).toMatchObject({ reason: "PEER_BUSY", retryable: true });
        }
      }
    }
    expect(await peerError(resolver.resolve("another.test", { source: "8" }))).toMatchObject({
      reason: "PEER_BUSY",
    });
    expect(await peerError(resolver.resolve("another.test"))).toMatchObject({ reason: "PEER_BUSY" });
    // Joining a fetch that is under way costs nothing.
    ask("d0.s0.test", "8");
    expect(started).toHaveLength(64);

    // Being busy is not remembered, and an ended fetch makes room, failed or not.
    await harness.fetched(0).succeed();
    ask("ninth.test", "0");
    await harness.fetched(8).fail();
    ask("another.test", "8");
    expect(started).toHaveLength(66);
    for (const pending of started) await pending.succeed();
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((outcome) => outcome === "failed")).toHaveLength(1);
  });

  it("of cached domains are not limited", async () => {
    const harness = createHarness({ maxResolving: 1, maxResolvingPerSource: 1 });
    await resolveOnce(harness, "acme.test");
    const busy = harness.resolver.resolve("slow.test", { source: "a" });
    expect((await harness.resolver.resolve("acme.test", { source: "a" })).domain).toBe("acme.test");
    await harness.fetched(1).succeed();
    await busy;
  });

  it("do not let refreshes of stale documents crowd out uncached domains", async () => {
    const harness = createHarness({ maxResolving: 1 });
    await resolveOnce(harness, "a.test");
    await resolveOnce(harness, "b.test");
    harness.advance(5 * MINUTE);
    await harness.resolver.resolve("a.test");
    await harness.resolver.resolve("b.test");
    expect(harness.started.map(({ domain }) => domain)).toEqual(["a.test", "b.test", "a.test"]);
    const uncached = harness.resolver.resolve("c.test");
    await harness.fetched(3).succeed();
    expect((await uncached).domain).toBe("c.test");
  });
});

describe("invalidation", () => {
  it("drops the document, so that the next look-up fetches", async () => {
    const harness = createHarness();
    await resolveOnce(harness, "acme.test");
    harness.resolver.invalidate("acme.test");
    const resolving = harness.resolver.resolve("acme.test");
    await harness.fetched(1).succeed("https://moved.test/api");
    expect((await resolving).apiUrl.href).toBe("https://moved.test/api");
  });

  it("happens at most once a minute per domain", async () => {
    const harness = createHarness();
    await resolveOnce(harness, "acme.test");
    await resolveOnce(harness, "other.test");
    for (let second = 0; second < 60; second++) {
      harness.resolver.invalidate("acme.test");
      const resolving = harness.resolver.resolve("acme.test");
      if (second === 0) await harness.fetched(2).succeed();
      await resolving;
      harness.advance(SECOND);
    }
    expect(harness.started).toHaveLength(3);
    harness.resolver.invalidate("other.test");
    void harness.resolver.resolve("other.test");
    expect(harness.started).toHaveLength(4);
    harness.resolver.invalidate("acme.test");
    void harness.resolver.resolve("acme.test");
    expect(harness.started).toHaveLength(5);
  });
});

describe("bounds and end", () => {
  it("keeps the domains that were used last, and no more than its limit", async () => {
    const harness = createHarness({ maxDomains: 2 });
    await resolveOnce(harness, "a.test");
    await resolveOnce(harness, "b.test");
    await harness.resolver.resolve("a.test");
    await resolveOnce(harness, "c.test");
    await harness.resolver.resolve("a.test");
    expect(harness.started).toHaveLength(3);
    void harness.resolver.resolve("b.test");
    expect(harness.started).toHaveLength(4);
  });

  it("closing ends what is under way and refuses what comes after", async () => {
    const harness = createHarness();
    const resolving = peerError(harness.resolver.resolve("acme.test"));
    harness.resolver.close();
    expect(await resolving).toMatchObject({ reason: "PEER_CALL_CANCELLED" });
    expect(harness.signals[0]?.aborted).toBe(true);
    expect(await peerError(harness.resolver.resolve("acme.test"))).toMatchObject({
      reason: "PEER_CALL_CANCELLED",
    });
    expect(harness.started).toHaveLength(1);
  });
});
