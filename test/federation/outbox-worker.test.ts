import { create } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  DeliveryOutcome,
  type DeliveryResult,
  DeliveryResultSchema,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { backoff } from "../../src/federation/backoff.ts";
import type { RouteLimits } from "../../src/federation/delivery-routes.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { envelopeRecord } from "../../src/federation/inbound-delivery.ts";
import {
  createOutboxWorker,
  type OutboxWorker,
  type OutboxWorkerOptions,
} from "../../src/federation/outbox-worker.ts";
import { silentLogger } from "../../src/logger.ts";
import { parseAddress } from "../../src/protocol/address.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { openStorage, type Storage } from "../../src/storage/open.ts";
import { makeAccount, makeKeySet, makeShare } from "../support/people.ts";

const NOW = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

type Deliver = (
  domain: string,
  envelopes: readonly Envelope[],
  signal: AbortSignal,
) => Promise<DeliveryResult[]>;

const PATIENCE = { timeout: 10_000, interval: 5 };

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

const opened: { storage: Storage; workers: OutboxWorker[] }[] = [];
afterEach(async () => {
  for (const { storage, workers } of opened.splice(0)) {
    for (const worker of workers) await worker.close(0);
    await storage.close();
  }
});

const accepted = (envelope: Envelope) =>
  create(DeliveryResultSchema, {
    shareId: parseEnvelope(envelope).shareId,
    outcome: DeliveryOutcome.ACCEPTED,
  });

/** Alice's node with a clock of its own, and a worker whose destinations answer as the test says. */
async function acme(deliver: Deliver, options: Partial<OutboxWorkerOptions> = {}) {
  const limits: RouteLimits = { maxBatches: 8, maxEnvelopes: 256, maxBytes: 1e6, maxEnvelopeBytes: 1e6 };
  const state = { now: NOW, deliver, limits, calls: [] as { domain: string; count: number }[] };
  const storage = await openStorage({ url: "sqlite::memory:", clock: () => state.now });
  const entry = { storage, workers: [] as OutboxWorker[] };
  opened.push(entry);
  const alice = makeKeySet("alice@acme.test", NOW - DAY);
  const accountId = await makeAccount(storage, alice);
  const start = () => {
    const worker = createOutboxWorker({
      clock: () => state.now,
      log: silentLogger,
      outbox: storage.outbox,
      random: () => 0.5,
      pollMs: 5,
      openRoute: async (domain) => ({
        limits: () => state.limits,
        deliver: async (envelopes, signal) => {
          state.calls.push({ domain, count: envelopes.length });
          return state.deliver(domain, envelopes, signal);
        },
      }),
      ...options,
    });
    entry.workers.push(worker);
    worker.start();
    return worker;
  };
  async function send(to = "bob@partner.test", expiresAt = 0): Promise<Uint8Array> {
    const sealed = await makeShare(alice, makeKeySet(to, NOW - DAY), { createdAt: state.now, expiresAt });
    await storage.outbox.enqueue({
      accountId,
      envelope: envelopeRecord(parseEnvelope(sealed.envelope)),
      recipientDomain: parseAddress(to).domain,
      stampNonce: 7n,
      now: state.now,
      maxStoredBytes: 1e9,
      maxContacts: 1_000,
    });
    return sealed.shareId;
  }
  const status = async (shareId: Uint8Array) => (await storage.outbox.status(accountId, shareId))!;
  const reaches = (shareId: Uint8Array, wanted: string) =>
    vi.waitFor(async () => expect((await status(shareId)).state).toBe(wanted), {
      timeout: 10_000,
      interval: 5,
    });
  return { state, storage, accountId, start, send, status, reaches };
}

describe("delivering what waits in the outbox", () => {
  it("delivers a share with its stamp and says so", async () => {
    const seen: Envelope[] = [];
    const { start, send, reaches } = await acme(async (_domain, envelopes) => {
      seen.push(...envelopes);
      return envelopes.map(accepted);
    });
    const shareId = await send();
    start();
    await reaches(shareId, "DELIVERED");
    expect(seen[0]?.stamp?.nonce).toBe(7n);
  });

  it("takes DUPLICATE for a success", async () => {
    const { start, send, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map((envelope) => ({ ...accepted(envelope), outcome: DeliveryOutcome.DUPLICATE })),
    );
    const shareId = await send();
    start();
    await reaches(shareId, "DELIVERED");
  });

  it.each([
    ["another share's", (own: Uint8Array) => own.toReversed()],
    ["no", () => new Uint8Array()],
  ])("takes no success for its own that comes under %s id, and tries again", async (_, bend) => {
    let honest = false;
    const { state, start, send, status, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map(accepted).map((one) => (honest ? one : { ...one, shareId: bend(one.shareId) })),
    );
    const shareId = await send();
    start();
    await vi.waitFor(async () => {
      expect(await status(shareId)).toMatchObject({
        state: "QUEUED",
        attempts: 1,
        message: "the answer leaves open what became of the share",
      });
    });
    honest = true;
    state.now += DAY;
    await reaches(shareId, "DELIVERED");
  });

  it("sends what waits for one domain in one batch, and each domain its own", async () => {
    const { state, start, send, reaches } = await acme(async (_domain, envelopes) => envelopes.map(accepted));
    const ids = [await send(), await send(), await send("carol@elsewhere.test")];
    start();
    for (const id of ids) await reaches(id, "DELIVERED");
    expect(state.calls.sort((a, b) => a.count - b.count)).toEqual([
      { domain: "elsewhere.test", count: 1 },
      { domain: "partner.test", count: 2 },
    ]);
  });

  it("shows a rejection with its reason, without control characters of the peer's, and never tries again", async () => {
    const { state, start, send, status, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map(() =>
        create(DeliveryResultSchema, {
          outcome: DeliveryOutcome.REJECTED,
          rejectionReason: RejectionReason.NOT_ACCEPTED,
          message: "no\u001b[31m thanks",
        }),
      ),
    );
    const shareId = await send();
    start();
    await reaches(shareId, "REJECTED");
    expect(await status(shareId)).toMatchObject({
      rejectionReason: RejectionReason.NOT_ACCEPTED,
      message: "no [31m thanks",
    });
    state.now += DAY;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(state.calls).toHaveLength(1);
  });
});

describe("when a destination fails", () => {
  const down: Deliver = async (domain) => {
    throw new PeerError("PEER_UNREACHABLE", domain, "partner.test cannot be connected to");
  };

  it("keeps the share, shows why, and delivers it once the destination is back", async () => {
    const { state, start, send, status, reaches } = await acme(down);
    const shareId = await send();
    start();
    await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(1));
    const waiting = await status(shareId);
    expect(waiting).toMatchObject({ state: "QUEUED", message: "partner.test cannot be connected to" });
    expect(waiting.nextAttemptAt).toBeGreaterThan(NOW);
    state.deliver = async (_domain, envelopes) => envelopes.map(accepted);
    state.now = waiting.nextAttemptAt;
    await reaches(shareId, "DELIVERED");
  });

  it("gives up after 3 days, and says so", async () => {
    const { state, start, send, reaches, status } = await acme(down);
    const shareId = await send();
    start();
    await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(1));
    state.now += 3 * DAY;
    await reaches(shareId, "FAILED");
    expect((await status(shareId)).message).not.toBe("");
  });

  it("gives up when the share expires, where that comes first", async () => {
    const { state, start, send, reaches, status } = await acme(down);
    const shareId = await send("bob@partner.test", NOW + HOUR);
    start();
    await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(1));
    state.now += HOUR;
    await reaches(shareId, "FAILED");
  });

  it("leaves a destination alone after failures in a row, while others go on", async () => {
    const { state, start, send, reaches, status } = await acme(async (domain, envelopes, signal) =>
      domain === "partner.test" ? down(domain, envelopes, signal) : envelopes.map(accepted),
    );
    const stuck = await send();
    start();
    for (let attempts = 1; attempts <= 3; attempts++) {
      await vi.waitFor(async () => expect((await status(stuck)).attempts).toBe(attempts));
      state.now = (await status(stuck)).nextAttemptAt - (attempts === 3 ? 1 : 0);
    }
    const before = state.calls.filter(({ domain }) => domain === "partner.test").length;
    await send();
    await reaches(await send("carol@elsewhere.test"), "DELIVERED");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(state.calls.filter(({ domain }) => domain === "partner.test")).toHaveLength(before);
  });

  it("remembers only so many failing destinations, however many names somebody sends to", async () => {
    const { state, storage, start, send } = await acme(
      async (domain) => {
        throw new PeerError("PEER_UNREACHABLE", domain, "nobody is there");
      },
      { maxBreakers: 3, maxDestinations: 2 },
    );
    const looks = vi.spyOn(storage.outbox, "dueDestinations");
    for (let index = 0; index < 12; index++) await send(`bob@nowhere-${index}.test`);
    start();
    await vi.waitFor(() => expect(state.calls).toHaveLength(12), { timeout: 10_000, interval: 5 });
    // What is asked for has room for those that are left alone: it tells how many there are.
    const most = Math.max(...looks.mock.calls.map(([, , limit]) => limit));
    expect(most).toBeLessThanOrEqual(2 + 2 + 3 + 1);
  });

  it("lets neither hosts that hang nor new names that hang keep a destination that answers waiting", async () => {
    const hang: Deliver = (_domain, _envelopes, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const { state, start, send, reaches, storage } = await acme(
      async (domain, envelopes, signal) => {
        if (domain.startsWith("failing")) return down(domain, envelopes, signal);
        return envelopes.map(accepted);
      },
      { maxDestinations: 8 },
    );
    const failing = await Promise.all(range(12).map((i) => send(`bob@failing-${i}.test`)));
    start();
    await reaches(await send("bob@answers.test"), "DELIVERED");
    await vi.waitFor(async () => {
      expect(await storage.outbox.dueDestinations("FAILING", NOW + HOUR, 100)).toHaveLength(failing.length);
    });
    state.deliver = async (domain, envelopes, signal) =>
      domain === "answers.test" ? envelopes.map(accepted) : hang(domain, envelopes, signal);
    for (const i of range(12)) await send(`bob@new-${i}.test`);
    state.now += HOUR;
    await vi.waitFor(() => {
      const hanging = state.calls.map(({ domain }) => domain).filter((domain) => domain.startsWith("new"));
      expect(hanging).toHaveLength(2);
    });
    for (const _ of range(3)) await reaches(await send("bob@answers.test"), "DELIVERED");
    const newNames = state.calls.filter(({ domain }) => domain.startsWith("new"));
    expect(newNames).toHaveLength(2);
  });

  it("heeds how long the receiver asks to wait", async () => {
    const { start, send, status } = await acme(async (_domain, envelopes) =>
      envelopes.map(() =>
        create(DeliveryResultSchema, { outcome: DeliveryOutcome.RETRY_LATER, retryAfterMs: 120_000 }),
      ),
    );
    const shareId = await send();
    start();
    await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(1));
    expect((await status(shareId)).nextAttemptAt).toBe(NOW + 120_000);
  });

  it("tries again what a receiver left unanswered", async () => {
    const { start, send, status } = await acme(async () => []);
    const shareId = await send();
    start();
    await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(1));
    expect((await status(shareId)).state).toBe("QUEUED");
  });
});

describe("stopping and dying", () => {
  it("gives back what it holds when it is stopped before there was an answer", async () => {
    const { start, send, status, reaches, state } = await acme(
      (_domain, _envelopes, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    const shareId = await send();
    const worker = start();
    await reaches(shareId, "DELIVERING");
    await worker.close(10);
    expect(await status(shareId)).toMatchObject({ state: "QUEUED", attempts: 0 });
    state.deliver = async (_domain, envelopes) => envelopes.map(accepted);
    start();
    await reaches(shareId, "DELIVERED");
  });

  it("delivers again what another worker took and never answered for, once its lease has run out", async () => {
    const { storage, state, start, send, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map(accepted),
    );
    const shareId = await send();
    const lease = { destination: "partner.test", limit: 10, maxBytes: 1e6, leaseMs: 60_000, now: NOW };
    expect(await storage.outbox.lease({ ...lease, token: "00".repeat(16) })).toHaveLength(1);
    start();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(state.calls).toHaveLength(0);
    state.now += 60_000;
    await reaches(shareId, "DELIVERED");
  });

  it("writes nothing when it was paused past its lease, which another worker has by then", async () => {
    const { storage, state, start, send, status, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map(accepted),
    );
    const resumed = Promise.withResolvers<void>();
    const paused: Deliver = async (_domain, envelopes) => {
      await resumed.promise;
      return envelopes.map(() =>
        create(DeliveryResultSchema, { outcome: DeliveryOutcome.REJECTED, message: "an old answer" }),
      );
    };
    const honest = state.deliver;
    state.deliver = paused;
    const shareId = await send();
    start();
    await reaches(shareId, "DELIVERING");
    state.now += 60_000;
    state.deliver = honest;
    start();
    await reaches(shareId, "DELIVERED");
    const settles = vi.spyOn(storage.outbox, "settle");
    resumed.resolve();
    await vi.waitFor(() => expect(settles).toHaveBeenCalled(), PATIENCE);
    expect(await settles.mock.results[0]!.value).toBe(0);
    expect(await status(shareId)).toMatchObject({ state: "DELIVERED", message: "" });
  });

  it("waits a while, and goes on, when the database takes no results", async () => {
    const { storage, state, start, send, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map(accepted),
    );
    const full = vi.spyOn(storage.outbox, "settle").mockRejectedValue(new Error("disk full"));
    const shareId = await send();
    start();
    await vi.waitFor(() => expect(full).toHaveBeenCalled(), PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(state.calls).toHaveLength(1);
    full.mockRestore();
    state.now += 60_000;
    await reaches(shareId, "DELIVERED");
  });

  it("delivers each share once when two workers share the outbox", async () => {
    const { state, start, send, reaches } = await acme(async (_domain, envelopes) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return envelopes.map(accepted);
    });
    const ids = await Promise.all(Array.from({ length: 20 }, () => send()));
    start();
    start();
    for (const id of ids) await reaches(id, "DELIVERED");
    expect(state.calls.reduce((sum, { count }) => sum + count, 0)).toBe(20);
  });
});

describe("batches under way to one destination", () => {
  /** Answers when the test says so. */
  function gated() {
    const waiting: { readonly envelopes: readonly Envelope[]; readonly answer: () => void }[] = [];
    const deliver: Deliver = async (_domain, envelopes, signal) => {
      const gate = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => gate.reject(signal.reason));
      waiting.push({ envelopes, answer: gate.resolve });
      await gate.promise;
      return envelopes.map(accepted);
    };
    return { waiting, deliver };
  }

  /** A destination that is known to answer, which may then be sent more than one batch. */
  async function answeringAcme(options: Partial<OutboxWorkerOptions> = {}) {
    const node = await acme(async (_domain, envelopes) => envelopes.map(accepted), options);
    const worker = node.start();
    await node.reaches(await node.send(), "DELIVERED");
    node.state.calls.length = 0;
    return { ...node, worker };
  }

  it("are several, each settled as it is answered", async () => {
    const { state, send, status, reaches } = await answeringAcme();
    const { waiting, deliver } = gated();
    state.deliver = deliver;
    state.limits = { ...state.limits, maxEnvelopes: 1, maxBatches: 3 };
    const ids = [await send()];
    // The first batch finds the way, and with it how much the peer takes.
    await vi.waitFor(() => expect(waiting).toHaveLength(1), PATIENCE);
    for (const _ of range(4)) ids.push(await send());
    await vi.waitFor(() => expect(waiting).toHaveLength(3), PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(waiting).toHaveLength(3);
    const third = parseEnvelope(waiting[2]!.envelopes[0]!).shareId;
    waiting[2]!.answer();
    await reaches(third, "DELIVERED");
    const states = await Promise.all(ids.map(async (id) => (await status(id)).state));
    expect(states.filter((one) => one === "DELIVERED")).toHaveLength(1);
    for (let answered = 0; answered < 5; answered++) {
      await vi.waitFor(() => expect(waiting.length).toBeGreaterThan(answered), PATIENCE);
      waiting[answered]!.answer();
    }
    for (const id of ids) await reaches(id, "DELIVERED");
  });

  it("are no larger than the peer takes, in number and in bytes", async () => {
    const { state, send, reaches } = await answeringAcme();
    state.limits = { ...state.limits, maxEnvelopes: 2, maxBytes: 20_000 };
    const ids = [];
    for (const _ of range(9)) ids.push(await send());
    for (const id of ids) await reaches(id, "DELIVERED");
    for (const { count } of state.calls) expect(count).toBeLessThanOrEqual(2);
  });

  it("count as one failure when they fail together, and the destination is not called off for them", async () => {
    const { state, send, status, reaches } = await answeringAcme();
    state.limits = { ...state.limits, maxEnvelopes: 1, maxBatches: 4 };
    const failing = Promise.withResolvers<never>();
    failing.promise.catch(() => {});
    state.deliver = (_domain, _envelopes, signal) => {
      signal.addEventListener("abort", () => failing.reject(signal.reason));
      return failing.promise;
    };
    const ids = [await send()];
    await vi.waitFor(() => expect(state.calls).toHaveLength(1), PATIENCE);
    for (const _ of range(3)) ids.push(await send());
    await vi.waitFor(() => expect(state.calls).toHaveLength(4), PATIENCE);
    failing.reject(
      new PeerError("PEER_UNREACHABLE", "partner.test", "the connection with partner.test broke"),
    );
    for (const id of ids) await vi.waitFor(async () => expect((await status(id)).attempts).toBe(1), PATIENCE);
    expect((await status(ids[0]!)).message).toBe("the connection with partner.test broke");
    state.deliver = async (_domain, envelopes) => envelopes.map(accepted);
    // One failure opens no breaker: what is sent now goes out at once.
    await reaches(await send(), "DELIVERED");
  });

  it("get smaller when a peer refuses them as a whole, down to one envelope, so that only what it cannot take waits", async () => {
    const { state, send, status, reaches } = await answeringAcme();
    const bad = await send("poison@partner.test");
    const ids = [bad];
    state.deliver = async (domain, envelopes) => {
      if (envelopes.some((one) => parseEnvelope(one).recipient === "poison@partner.test")) {
        throw new PeerError("PEER_REFUSED", domain, "partner.test refused: INTERNAL");
      }
      return envelopes.map(accepted);
    };
    for (const _ of range(20)) ids.push(await send());
    await vi.waitFor(async () => {
      state.now += HOUR / 2;
      const states = await Promise.all(ids.slice(1).map(async (id) => (await status(id)).state));
      expect(new Set(states)).toEqual(new Set(["DELIVERED"]));
    }, PATIENCE);
    expect(await status(bad)).toMatchObject({ message: "partner.test refused: INTERNAL" });
    state.now += 3 * DAY;
    await reaches(bad, "FAILED");
    expect((await status(bad)).message).toBe("not delivered in time: partner.test refused: INTERNAL");
  });

  it("stop for as long as a peer asks that puts everything off", async () => {
    const { state, send, reaches } = await answeringAcme();
    state.deliver = async (_domain, envelopes) =>
      envelopes.map(() =>
        create(DeliveryResultSchema, { outcome: DeliveryOutcome.RETRY_LATER, retryAfterMs: HOUR }),
      );
    for (const _ of range(32)) await send();
    await vi.waitFor(() => {
      const delivered = state.calls.reduce((sum, { count }) => sum + count, 0);
      expect(delivered).toBeGreaterThanOrEqual(32);
    }, PATIENCE);
    const before = state.calls.length;
    const later = await send();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(state.calls).toHaveLength(before);
    state.deliver = async (_domain, envelopes) => envelopes.map(accepted);
    state.now += HOUR;
    await reaches(later, "DELIVERED");
  });

  it("make room for a destination that waits for a place, and go on after it", async () => {
    const { state, send, reaches } = await answeringAcme({ maxDestinations: 2, turnMs: 0 });
    const { waiting, deliver } = gated();
    await reaches(await send("carol@elsewhere.test"), "DELIVERED");
    state.calls.length = 0;
    state.limits = { ...state.limits, maxEnvelopes: 1, maxBatches: 1 };
    state.deliver = deliver;
    const many = [await send()];
    await vi.waitFor(() => expect(waiting).toHaveLength(1), PATIENCE);
    many.push(await send(), await send());
    const other = await send("carol@elsewhere.test");
    await vi.waitFor(() => expect(state.calls).toHaveLength(1), PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 30));
    state.deliver = async (_domain, envelopes) => envelopes.map(accepted);
    waiting[0]!.answer();
    await reaches(other, "DELIVERED");
    for (const id of many) await reaches(id, "DELIVERED");
    expect(state.calls.map(({ domain }) => domain).slice(0, 2)).toEqual(["partner.test", "elsewhere.test"]);
  });

  it("take in what is queued while others are under way", async () => {
    const { state, send, worker, reaches } = await answeringAcme({ pollMs: 60_000 });
    const { waiting, deliver } = gated();
    state.deliver = deliver;
    await send();
    worker.wake();
    await vi.waitFor(() => expect(waiting).toHaveLength(1), PATIENCE);
    const second = await send();
    worker.wake();
    await vi.waitFor(() => expect(waiting).toHaveLength(2), PATIENCE);
    waiting[1]!.answer();
    await reaches(second, "DELIVERED");
    waiting[0]!.answer();
  });
});

describe("a share that the peer does not take", () => {
  it("because it is too large is refused here, and those beside it are delivered", async () => {
    const { state, start, send, status, reaches } = await acme(async (_domain, envelopes) =>
      envelopes.map(accepted),
    );
    state.limits = { ...state.limits, maxEnvelopeBytes: 100 };
    const shareId = await send();
    start();
    await reaches(shareId, "REJECTED");
    expect(await status(shareId)).toMatchObject({
      rejectionReason: RejectionReason.TOO_LARGE,
      message: "the recipient's node takes at most 100 bytes",
    });
    expect(state.calls).toEqual([]);
  });
});

describe("a sender who asks for another attempt", () => {
  it("gets it though the destination is left alone, once in ten seconds", async () => {
    const { state, storage, accountId, start, send, reaches, status } = await acme(async (domain) => {
      throw new PeerError("PEER_UNREACHABLE", domain, "nobody is there");
    });
    const shareId = await send();
    const worker = start();
    for (let attempts = 1; attempts <= 3; attempts++) {
      await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(attempts), PATIENCE);
      if (attempts < 3) state.now = (await status(shareId)).nextAttemptAt;
    }
    const retry = async () => {
      const { destination } = (await storage.outbox.retry(accountId, shareId, state.now))!;
      worker.wake(destination);
    };
    await retry();
    await vi.waitFor(async () => expect((await status(shareId)).attempts).toBe(4), PATIENCE);
    await retry();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await status(shareId)).attempts).toBe(4);
    state.deliver = async (_domain, envelopes) => envelopes.map(accepted);
    state.now += 10_000;
    await retry();
    await reaches(shareId, "DELIVERED");
  });
});

describe("back-off", () => {
  it("is drawn from the whole range below a ceiling that doubles from 1 second up to 1 hour", () => {
    const ceilings = [1, 2, 3, 12, 13, 1_000].map((failures) => backoff(failures, () => 1));
    expect(ceilings).toEqual([1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000]);
    expect(backoff(5, () => 0)).toBe(0);
  });
});
