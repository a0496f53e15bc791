import { describe, expect, it } from "vitest";
import type { PublishedKeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { createSenderKeyDirectory } from "../../src/federation/sender-keys.ts";
import { makeKeySet, published } from "../support/people.ts";

const ALICE = "alice@acme.test";
const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

/** A directory over a domain that answers as the test says. */
function directory(answer: (number: number) => PublishedKeySet | Error) {
  const state = { now: START, asked: [] as number[], answer };
  const senderKeys = createSenderKeyDirectory({
    clock: () => state.now,
    fetchKeySet: async (_domain, { number }) => {
      state.asked.push(number);
      const result = state.answer(number);
      if (result instanceof Error) throw result;
      return result;
    },
  });
  return {
    state,
    get: (number: number) => senderKeys.get(ALICE, number, "connection"),
    known: (number: number) => senderKeys.known(ALICE, number),
  };
}

const absent = () =>
  new PeerError("PEER_REFUSED", "acme.test", "no such set", { peerReason: "KEY_SET_UNKNOWN" });
const silent = () => new PeerError("PEER_TIMEOUT", "acme.test", "no answer in time");

describe("looking up senders' key sets", () => {
  const first = makeKeySet(ALICE, START - 30 * MINUTE);
  const second = makeKeySet(ALICE, START - MINUTE, first);

  it("gives nothing when the sender's domain answers for another address", async () => {
    const mallory = makeKeySet("mallory@acme.test", START);
    expect(await directory(() => published(mallory)).get(1)).toMatchObject({ kind: "unavailable" });
  });

  it("gives nothing when the sender's domain answers with another number", async () => {
    expect(await directory(() => published(second)).get(1)).toMatchObject({ kind: "unavailable" });
  });

  it("gives nothing when the set does not sign itself", async () => {
    const forged = published(first);
    forged.keySet = { ...forged.keySet!, selfSignature: second.record.selfSignature };
    expect(await directory(() => forged).get(1)).toMatchObject({ kind: "unavailable" });
  });

  it("gives nothing when the answer contradicts itself about which set is active", async () => {
    for (const activeNumber of [0, 2]) {
      const contradiction = { ...published(first), activeNumber };
      expect(await directory(() => contradiction).get(1)).toMatchObject({ kind: "unavailable" });
    }
  });

  it("refuses another body under a number that it has seen", async () => {
    const { state, get } = directory(() => published(first));
    expect(await get(1)).toMatchObject({ kind: "found" });
    state.now += 6 * MINUTE;
    state.answer = () => published(makeKeySet(ALICE, START - 30 * MINUTE));
    expect(await get(1)).toMatchObject({ kind: "unavailable" });
  });

  it("asks once for an active set within 5 minutes, and again after them", async () => {
    const { state, get } = directory(() => published(first));
    await get(1);
    state.now += 5 * MINUTE - 1;
    await get(1);
    expect(state.asked).toEqual([1]);
    state.now += 1;
    await get(1);
    expect(state.asked).toEqual([1, 1]);
  });

  it("asks again when the clock was set back, and no age can be told", async () => {
    const { state, get } = directory((number) => (number === 1 ? published(first) : absent()));
    await get(1);
    await get(3);
    state.now -= 24 * 60 * MINUTE;
    state.answer = (number) => (number === 1 ? published(first, second) : published(second));
    expect(await get(1)).toMatchObject({ keys: { succession: { supersededAt: second.keySet.createdAt } } });
    expect(await get(2)).toMatchObject({ kind: "found" });
  });

  it("never serves an active set stale when its domain cannot be asked", async () => {
    const { state, get } = directory(() => published(first));
    await get(1);
    state.now += 5 * MINUTE;
    state.answer = silent;
    expect(await get(1)).toMatchObject({ kind: "unavailable" });
  });

  it("keeps a superseded set for good, because what its successor says cannot change", async () => {
    const { state, get } = directory(() => published(first, second));
    await get(1);
    state.now += 1_000 * MINUTE;
    state.answer = silent;
    expect(await get(1)).toMatchObject({
      kind: "found",
      keys: { succession: { supersededAt: second.keySet.createdAt } },
    });
  });

  it("knows without asking what it was told, for as long as it may believe that", async () => {
    const { state, get, known } = directory(() => published(first));
    expect(known(1)).toBeUndefined();
    await get(1);
    expect(known(1)?.keySet.hash).toEqual(first.keySet.hash);
    expect(known(2)).toBeUndefined();
    state.now += 5 * MINUTE;
    expect(known(1)).toBeUndefined();
    expect(state.asked).toEqual([1]);
  });

  it("comes back when the sender's domain says so", async () => {
    const busy = new PeerError("PEER_REFUSED", "acme.test", "busy", { retryable: true, retryAfterMs: 700 });
    expect(await directory(() => busy).get(1)).toMatchObject({ kind: "unavailable", retryAfterMs: 700 });
  });

  it("asks at most once per address and 10 seconds for numbers that do not exist", async () => {
    const { state, get } = directory(absent);
    expect(await get(7)).toEqual({ kind: "unknown" });
    expect(await get(7)).toEqual({ kind: "unknown" });
    for (let number = 8; number <= 100; number++) expect((await get(number)).kind).toBe("unavailable");
    expect(state.asked).toEqual([7]);
    state.now += 10_000;
    expect(await get(8)).toEqual({ kind: "unknown" });
  });

  it("shares one question among those who ask at the same time", async () => {
    const { state, get } = directory(() => published(first));
    await Promise.all(Array.from({ length: 50 }, () => get(1)));
    expect(state.asked).toEqual([1]);
  });
});
