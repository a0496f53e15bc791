// What the primary and its workers are made of, in one process: the port that hands its connections on, and hints.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Hint } from "../../src/hints.ts";
import { silentLogger } from "../../src/logger.ts";
import { createHintRelay, type HintRelay, MAX_UNANSWERED } from "../../src/server/workers/hint-relay.ts";
import { createWorkerHints } from "../../src/server/workers/hints.ts";
import { errorOf, type FromWorker, failureOf, type HintMessage } from "../../src/server/workers/messages.ts";
import { openSharedPort, type SharedPort } from "../../src/server/workers/shared-port.ts";
import { StorageError } from "../../src/storage/errors.ts";

describe("a port that workers share", () => {
  let port: SharedPort;
  const callers: Socket[] = [];
  const accepted: Socket[] = [];
  afterEach(() => {
    port.close();
    for (const socket of [...callers, ...accepted]) socket.destroy();
    callers.length = 0;
    accepted.length = 0;
  });

  async function open(): Promise<void> {
    port = await openSharedPort({ host: "127.0.0.1", port: 0 }, silentLogger);
  }

  async function call(times: number): Promise<void> {
    const { host, port: number } = port.address;
    const before = callers.length;
    for (let i = 0; i < times; i++) callers.push(connect(number, host));
    await Promise.all(callers.slice(before).map((caller) => once(caller, "connect")));
  }

  /** A worker that counts what it is given. */
  function sit() {
    const taken: Socket[] = [];
    const seat = port.join((socket) => {
      taken.push(socket);
      accepted.push(socket);
    });
    return { taken, seat };
  }

  it("cannot be had twice", async () => {
    await open();
    await expect(openSharedPort(port.address, silentLogger)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("gives workers equally many connections, however fast they come", async () => {
    await open();
    const [one, other] = [sit(), sit()];
    for (let round = 1; round <= 5; round++) {
      await call(4);
      await vi.waitFor(() => expect([one.taken.length, other.taken.length]).toEqual([2 * round, 2 * round]));
    }
  });

  it("gives the next ones to the worker that has fewest", async () => {
    await open();
    const [one, other] = [sit(), sit()];
    await call(8);
    await vi.waitFor(() => expect(accepted).toHaveLength(8));
    one.seat.closed(4);
    await call(4);
    await vi.waitFor(() => expect([one.taken.length, other.taken.length]).toEqual([8, 4]));
  });

  it("keeps connections until a worker takes them, and gives none to one that left", async () => {
    await open();
    const gone = sit();
    gone.seat.leave();
    await call(3);
    expect(port.seats).toBe(0);
    await delay(50); // accepted by now on most machines; the rest of the test holds in either case
    const next = sit();
    await vi.waitFor(() => expect(next.taken).toHaveLength(3));
    expect(gone.taken).toHaveLength(0);
  });

  it("hands connections over unread", async () => {
    await open();
    const { taken } = sit();
    await call(1);
    callers[0]?.write("hello");
    await vi.waitFor(() => expect(taken).toHaveLength(1));
    const [data] = await Promise.all([once(taken[0] as Socket, "data"), taken[0]?.resume()]);
    expect(String(data[0])).toBe("hello");
  });
});

/** A worker's hints over a channel that works as the real one does: in order, and never at once. */
function join(relay: HintRelay) {
  const heard: Hint[] = [];
  let gaps = 0;
  let connected = true;
  let hangs = false;
  let kept: HintMessage[] = [];
  let received = 0;
  const hints = createWorkerHints({
    get connected() {
      return connected;
    },
    send(message: FromWorker) {
      if (message.kind !== "hints" && message.kind !== "acted") throw new Error("not about hints");
      setImmediate(() => connected && seat.receive(structuredClone(message)));
    },
  });
  hints.listen((hint) => heard.push(hint));
  hints.onGap(() => {
    gaps += 1;
  });
  onTestFinished(() => hints.close());
  const seat = relay.join((message) => {
    received += 1;
    if (hangs) kept.push(message);
    else setImmediate(() => hints.receive(structuredClone(message)));
  });
  return {
    hints,
    heard,
    gaps: () => gaps,
    received: () => received,
    hang() {
      hangs = true;
    },
    goOn() {
      hangs = false;
      for (const message of kept) hints.receive(message);
      kept = [];
    },
    die() {
      connected = false;
      hints.disconnected();
      seat.leave();
    },
  };
}

const keySets = (address: string): Hint => ({ kind: "key-sets", address });
const share = (accountId: number): Hint => ({ kind: "share", accountId });

describe("hints between workers", () => {
  it("are nothing to wait for in a worker that is alone", async () => {
    const alone = join(createHintRelay());
    await alone.hints.send(share(1));
    expect(alone.heard).toEqual([]);
  });

  it("have been acted on by all others when they are sent, and never come back", async () => {
    const relay = createHintRelay();
    const [first, ...others] = [join(relay), join(relay), join(relay)];
    await first.hints.send(keySets("alice@acme.test"));
    for (const { heard } of others) expect(heard).toEqual([keySets("alice@acme.test")]);
    expect(first.heard).toEqual([]);
  });

  it("travel together, the same one once, when they are sent together", async () => {
    const relay = createHintRelay();
    const [first, other] = [join(relay), join(relay)];
    const sent = Array.from({ length: 1_000 }, (_, i) => first.hints.send(share(i % 3)));
    await Promise.all(sent);
    expect(other.heard).toEqual([share(0), share(1), share(2)]);
    expect(other.received()).toBe(1);
    await first.hints.send(share(0));
    expect(other.heard).toHaveLength(4);
  });

  it("do not wait for a worker that dies", async () => {
    const relay = createHintRelay();
    const [first, other, dying] = [join(relay), join(relay), join(relay)];
    dying.hang();
    const sent = first.hints.send(keySets("alice@acme.test"));
    await vi.waitFor(() => expect(dying.received()).toBe(1));
    dying.die();
    await sent;
    expect(other.heard).toHaveLength(1);
    expect(dying.hints.connected).toBe(false);
    await dying.hints.send(share(1));
  });

  it("wait for a worker that hangs no longer than they may", async () => {
    const relay = createHintRelay();
    const [first, hanging] = [join(relay), join(relay)];
    hanging.hang();
    await first.hints.send(keySets("alice@acme.test"));
    expect(hanging.received()).toBe(1);
    expect(hanging.heard).toEqual([]);
    hanging.goOn();
    expect(hanging.heard).toHaveLength(1);
  });

  it("fill no memory for a worker that hangs, which learns that it missed some", async () => {
    const relay = createHintRelay();
    const messages: HintMessage[] = [];
    const hanging = relay.join((message) => messages.push(message));
    const busy = relay.join(() => {});
    for (let id = 1; id <= MAX_UNANSWERED + 10; id++) busy.receive({ kind: "hints", id, hints: [share(id)] });
    expect(messages).toHaveLength(MAX_UNANSWERED);

    for (const message of [...messages]) {
      if (message.kind === "hints") hanging.receive({ kind: "acted", id: message.id });
    }
    expect(messages.slice(MAX_UNANSWERED)).toEqual([{ kind: "gap" }]);
    busy.receive({ kind: "hints", id: 1, hints: [share(1)] });
    expect(messages.at(-1)).toMatchObject({ kind: "hints" });
  });

  it("tell of a gap", () => {
    const worker = join(createHintRelay());
    worker.hints.receive({ kind: "gap" });
    expect(worker.gaps()).toBe(1);
  });
});

describe("a failure in another process", () => {
  it("keeps its name, its reason and its words, and loses the rest", () => {
    const failure = failureOf(new StorageError("DATABASE_CONFIGURATION", { message: "no such folder" }));
    const error = errorOf(JSON.parse(JSON.stringify(failure)));
    expect(error).toMatchObject({
      name: "StorageError",
      message: "no such folder",
      reason: "DATABASE_CONFIGURATION",
    });
    expect(Object.keys(failure)).toEqual(["name", "message", "reason"]);
  });
});
