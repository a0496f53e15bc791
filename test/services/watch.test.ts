import { ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ContactState, type WatchSharesResponse } from "../../gen/keypears/v1/share_service_pb.ts";
import { buildKeySet, parseKeySetBody } from "../../src/protocol/key-set.ts";
import { createAccountEvents } from "../../src/services/events.ts";
import { MAX_STREAMS_PER_ACCOUNT } from "../../src/services/watch.ts";
import {
  createPerson,
  deliver,
  logIn,
  newSeeds,
  type Person,
  seal,
  sealedKeys,
  startNode,
  type TestNode,
} from "./node.ts";
import { refusal, refusalOf } from "./refusal.ts";

let node: TestNode;
let alice: Person;
let bob: Person;
beforeEach(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
  bob = await createPerson(node, "bob@acme.test");
  await bob.shares.setContact({ address: alice.address, state: ContactState.ACCEPTED });
});
afterEach(() => node.close());

/** A stream that is read from its beginning, one event at a time. */
function watch(person: Person, afterSequence = 0n, signal?: AbortSignal) {
  const stream = person.shares.watchShares({ afterSequence }, signal ? { signal } : {});
  const messages = stream[Symbol.asyncIterator]();
  const next = async (): Promise<WatchSharesResponse | undefined> => {
    const { value, done } = await messages.next();
    return done ? undefined : value;
  };
  return {
    next,
    /** The next message that says something. */
    async event() {
      for (;;) {
        const message = await next();
        if (message === undefined) return undefined;
        if (message.event.case !== undefined) return message.event;
      }
    },
    /** The refusal with which the stream ends, and the kinds of what came before it. */
    async end() {
      const before: string[] = [];
      try {
        for (;;) {
          const message = await next();
          if (message === undefined) throw new Error("the stream ended without an error");
          if (message.event.case !== undefined) before.push(message.event.case);
        }
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        return { before, ...refusalOf(error) };
      }
    },
    close: () => messages.return?.(),
  };
}

const sequenceOf = (event: WatchSharesResponse["event"] | undefined) =>
  event?.case === "share" ? event.value.sequence : undefined;

// Slow machines are no failure.
vi.setConfig({ testTimeout: 60_000 });

describe("watching shares", () => {
  it("is refused without a session, with an ended one, and for a cursor that cannot be", async () => {
    const first = async (person: Person | TestNode, afterSequence = 0n) => {
      const { shares } = "shares" in person ? person : person.as();
      for await (const _ of shares.watchShares({ afterSequence })) break;
    };
    expect(await refusal(first(node))).toMatchObject({ reason: "SESSION_REQUIRED" });
    expect(await refusal(first(alice, 2n ** 60n))).toMatchObject({
      reason: "FIELD_INVALID",
      field: "after_sequence",
    });
    await alice.accounts.logOut({});
    expect(await refusal(first(alice))).toMatchObject({ reason: "SESSION_INVALID" });
  });

  it("answers at once, also when there is nothing to tell", async () => {
    const stream = watch(bob);
    expect(await stream.next()).toMatchObject({ event: { case: undefined } });
    await stream.close();
  });

  it("gives what is there and then what comes, without a gap or a repetition", async () => {
    for (let i = 0; i < 3; i++) await deliver(node, alice, bob);
    const stream = watch(bob);
    const seen: (bigint | undefined)[] = [];
    for (let i = 0; i < 3; i++) seen.push(sequenceOf(await stream.event()));
    const delivering = (async () => {
      for (let i = 0; i < 5; i++) await deliver(node, alice, bob);
    })();
    for (let i = 0; i < 5; i++) seen.push(sequenceOf(await stream.event()));
    await delivering;
    expect(seen).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
    await stream.close();
  });

  it("goes on behind the cursor that it is given, over more than one page", async () => {
    const total = 120;
    for (let i = 0; i < total; i++) await deliver(node, alice, bob);
    const stream = watch(bob, 5n);
    for (let sequence = 6n; sequence <= total; sequence++)
      expect(sequenceOf(await stream.event())).toBe(sequence);
    await deliver(node, alice, bob);
    expect(sequenceOf(await stream.event())).toBe(BigInt(total + 1));
    await stream.close();
  });

  it("finds what another process stored, of which no event tells", async () => {
    const other = await startSilent();
    const stream = watch(other.bob);
    await stream.next();
    await deliver(other.node, other.alice, other.bob);
    expect(sequenceOf(await stream.event())).toBe(1n);
    await stream.close();
    await other.node.close();
  });

  it("keeps a quiet stream alive with empty messages", async () => {
    const quiet = await startNode({ watchKeepAliveMs: 30, watchPollMs: 1_000_000 });
    const carol = await createPerson(quiet, "carol@acme.test");
    const stream = watch(carol);
    for (let i = 0; i < 4; i++) expect(await stream.next()).toMatchObject({ event: { case: undefined } });
    await stream.close();
    await quiet.close();
  });

  it("tells notices that come while it is open, and not the ones from before", async () => {
    const rotate = async (number: number, previous: Parameters<typeof buildKeySet>[0]["previous"]) => {
      node.advance(1_000);
      const seeds = newSeeds();
      const keySet = buildKeySet({
        address: bob.address,
        createdAt: node.now(),
        seeds,
        ...(previous && { previous }),
      });
      const request = { keySet, expectedActiveNumber: number - 1, sealedKeys: sealedKeys(number) };
      await bob.keySets.publishKeySet(request);
      return { keySet: parseKeySetBody(keySet.body), seeds };
    };
    const second = await rotate(2, { keySet: bob.keySet, seeds: bob.seeds });
    const stream = watch(bob);
    await stream.next();
    await rotate(3, second);
    expect(await stream.event()).toMatchObject({ case: "notice", value: { kind: 1, keySetNumber: 3 } });
    // Told once: what comes next is something else.
    await deliver(node, alice, { ...bob, keySet: second.keySet });
    expect(sequenceOf(await stream.event())).toBe(1n);
    await stream.close();
  });

  it("leaves out what has expired", async () => {
    const { envelope } = seal(node, alice, bob, { expiresAt: node.now() + 1 });
    await node.as().federation.deliverShares({ envelopes: [envelope] });
    await deliver(node, alice, bob);
    node.advance(1);
    const stream = watch(bob);
    expect(sequenceOf(await stream.event())).toBe(2n);
    await stream.close();
  });
});

describe("a stream of shares ends", () => {
  it("when its session is revoked, at once, and the streams of others go on", async () => {
    const patient = await startNode({ watchPollMs: 1_000_000, watchKeepAliveMs: 1_000_000 });
    const carol = await createPerson(patient, "carol@acme.test");
    const phone = await logIn(patient, carol, "phone");
    const { stores } = patient.context;
    let looks = 0;
    const after: typeof stores.received.after = (...query) => {
      looks += 1;
      return stores.received.after(...query);
    };
    const context = { stores: { ...stores, received: { ...stores.received, after } } };
    const ended = watch({ ...phone, ...patient.as({ token: phone.token, context }) }).end();
    const going = watch(carol);
    await going.next();
    // Has looked, found nothing, and waits: only an event can wake it.
    await expect.poll(() => looks, { timeout: 30_000 }).toBe(1);
    await carol.accounts.revokeSession({ sessionId: phone.sessionId });
    expect(await ended).toMatchObject({ before: [], code: "Unauthenticated", reason: "SESSION_INVALID" });
    await deliver(patient, carol, carol);
    expect(sequenceOf(await going.event())).toBe(1n);
    await going.close();
    await patient.close();
  });

  it("when its session is revoked while its reader is slow, before the rest of a page", async () => {
    for (let i = 0; i < 3; i++) await deliver(node, alice, bob);
    const stream = watch(bob);
    expect(sequenceOf(await stream.event())).toBe(1n);
    await bob.accounts.logOut({});
    expect(await stream.end()).toMatchObject({ before: [], reason: "SESSION_INVALID" });
  });

  it("when another process revoked its session, at the next poll", async () => {
    const other = await startSilent();
    const stream = watch(other.bob);
    await stream.next();
    await other.bob.accounts.logOut({});
    expect(await stream.end()).toMatchObject({ reason: "SESSION_INVALID" });
    await other.node.close();
  });

  it("when its session expires, which an open stream puts off", async () => {
    const day = 24 * 60 * 60 * 1_000;
    const ended = watch(bob).end();
    const account = await node.storage.accounts.byAddress(bob.address);
    const lastUsed = async () =>
      (await node.storage.sessions.list(account!.id, { limit: 1, now: node.now() }))[0]?.lastUsedAt;
    for (let days = 0; days < 364; days += 28) {
      node.advance(28 * day);
      await expect.poll(lastUsed, { timeout: 30_000 }).toBe(node.now());
    }
    node.advance(day);
    expect(await ended).toMatchObject({ reason: "SESSION_INVALID" });
  });

  it("when the account is deleted, with a notice that says so", async () => {
    const stream = watch(bob);
    await stream.next();
    await bob.accounts.deleteAccount({ loginKey: bob.loginKey });
    expect(await stream.event()).toMatchObject({ case: "notice", value: { kind: 4 } });
    expect(await stream.end()).toMatchObject({ before: [], reason: "SESSION_INVALID" });
  });

  it("when the node stops, and says that it may be asked again", async () => {
    const stream = watch(bob);
    await stream.next();
    node.shutDown();
    const ended = await stream.end();
    expect(ended).toMatchObject({ code: "Unavailable", reason: "SHUTTING_DOWN" });
    expect(ended.retryAfterMs).toBeGreaterThan(0);
  });

  it("when its reader goes away, and gives its place back", async () => {
    const streams = Array.from({ length: MAX_STREAMS_PER_ACCOUNT }, () => {
      const leaving = new AbortController();
      return { leaving, stream: watch(bob, 0n, leaving.signal) };
    });
    for (const { stream } of streams) await stream.next();
    const oneMore = () => watch(bob).next();
    expect(await refusal(oneMore())).toMatchObject({ code: "ResourceExhausted", reason: "STREAM_LIMIT" });
    await expect(watch(alice).next()).resolves.toBeDefined();
    for (const { leaving } of streams) leaving.abort();
    await expect
      .poll(
        () =>
          oneMore().then(
            () => "open",
            () => "refused",
          ),
        { timeout: 10_000 },
      )
      .toBe("open");
  });
});

it("a stream whose reader goes away listens no more, read on or not", async () => {
  const hub = createAccountEvents();
  const listening = new Set<() => void>();
  const events: typeof hub = {
    ...hub,
    listen(accountId, listener) {
      const stop = hub.listen(accountId, listener);
      listening.add(stop);
      return () => {
        listening.delete(stop);
        stop();
      };
    },
  };
  const counted = await startNode({ events });
  const carol = await createPerson(counted, "carol@acme.test");
  const leaving = new AbortController();
  await watch(carol, 0n, leaving.signal).next();
  expect(listening.size).toBe(1);
  leaving.abort();
  await expect.poll(() => listening.size, { timeout: 30_000 }).toBe(0);
  await counted.close();
});

/** A node in which no event is ever told, as if another process had made every change. */
async function startSilent() {
  const silent = await startNode({ events: { emit() {}, listen: () => () => {} } });
  return {
    node: silent,
    alice: await createPerson(silent, "alice@acme.test"),
    bob: await createPerson(silent, "bob@acme.test"),
  };
}
