// The stream of deliveries over the real inbound pipeline: what it answers, when it stops reading, and how it ends.

import { create } from "@bufbuild/protobuf";
import { Code, createContextValues, createHandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Envelope, EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  type DeliverShareStreamRequest,
  DeliverShareStreamRequestSchema,
  type DeliverShareStreamResponse,
  DeliveryOutcome,
  FederationService,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { ContactState } from "../../gen/keypears/v1/share_service_pb.ts";
import type { Inbound } from "../../src/federation/inbound.ts";
import { callerKey } from "../../src/services/context.ts";
import {
  createDeliveryStream,
  DELIVERY_STREAM_LIMITS,
  type DeliveryStreamLimits,
} from "../../src/services/delivery-stream.ts";
import { toConnectError } from "../../src/services/errors.ts";
import { createPerson, type Person, seal, startNode, stranger, type TestNode } from "./node.ts";
import { refusalOf } from "./refusal.ts";

vi.setConfig({ testTimeout: 60_000 });

let node: TestNode;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  node = await startNode({ limits: { maxDeliveryEnvelopes: 4, maxFirstContactsPerDay: 1_000 } });
  alice = await createPerson(node, "alice@acme.test");
  bob = await createPerson(node, "bob@acme.test");
  await bob.shares.setContact({ address: alice.address, state: ContactState.ACCEPTED });
});
afterAll(() => node.close());

const envelopes = (count: number): Envelope[] =>
  Array.from({ length: count }, () => seal(node, alice, bob).envelope);

/** The node's inbound pipeline, whose answers wait until they are let out, each batch by its turn. */
function gatedInbound() {
  const { inbound } = node.context;
  const gates: PromiseWithResolvers<void>[] = [];
  const gated: Inbound = {
    ...inbound,
    async take(...batch) {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      const { decided } = await inbound.take(...batch);
      decided.catch(() => {});
      return { decided: gate.promise.then(() => decided) };
    },
  };
  return { inbound: gated, gates };
}

interface Options {
  readonly inbound?: Inbound;
  readonly limits?: Partial<DeliveryStreamLimits>;
  readonly shutdown?: AbortSignal;
}

/** A way to open streams, and a stream opened on it. */
function streams(options: Options = {}) {
  const { inbound = node.context.inbound, shutdown = node.context.shutdown } = options;
  const limits = { ...DELIVERY_STREAM_LIMITS, ...options.limits };
  const method = createDeliveryStream({ ...node.context, inbound, shutdown }, limits);
  return (sourcePrefix = "192.0.2.0/24") => {
    const leaving = new AbortController();
    const caller = { sourcePrefix, connectionId: "c1", session: undefined };
    const call = createHandlerContext({
      service: FederationService,
      method: FederationService.method.deliverShareStream,
      protocolName: "test",
      requestMethod: "POST",
      url: "http://localhost/",
      requestSignal: leaving.signal,
      contextValues: createContextValues().set(callerKey, caller),
    });
    const sent = createMessages();
    const answers = method(sent.messages, call)[Symbol.asyncIterator]();
    return {
      send: (batchNumber: number, batch: readonly Envelope[] = []) =>
        sent.push(
          create(DeliverShareStreamRequestSchema, {
            batchNumber: BigInt(batchNumber),
            envelopes: [...batch],
          }),
        ),
      finish: sent.end,
      cut: sent.fail,
      /** How many messages the method has asked for. */
      asked: sent.asked,
      leave: () => leaving.abort(),
      async next(): Promise<DeliverShareStreamResponse | undefined> {
        const { value, done } = await answers.next();
        return done === true ? undefined : (value as DeliverShareStreamResponse);
      },
      /** Reads to the end; the numbers of the batches that were answered, and the refusal with which it ended, if any. */
      async rest() {
        const numbers: number[] = [];
        try {
          for (;;) {
            const { value, done } = await answers.next();
            if (done === true) return { numbers };
            numbers.push(Number(value.batchNumber));
          }
        } catch (error) {
          return { numbers, ...refusalOf(toConnectError(error)) };
        }
      },
    };
  };
}

/** Messages as a caller sends them. */
function createMessages() {
  const waiting: DeliverShareStreamRequest[] = [];
  let asked = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake = () => {};
  async function* messages() {
    for (;;) {
      asked += 1;
      while (waiting.length === 0 && end === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const message = waiting.shift();
      if (message !== undefined) yield message;
      else if (end !== undefined && "error" in end) throw end.error;
      else return;
    }
  }
  return {
    messages: messages(),
    asked: () => asked,
    push(message: DeliverShareStreamRequest) {
      waiting.push(message);
      wake();
    },
    end() {
      end = {};
      wake();
    },
    fail(error: unknown) {
      end = { error };
      wake();
    },
  };
}

/** Lets everything happen that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("a stream of deliveries refuses", () => {
  it("a batch of more envelopes than a request may hold, by its number, after answering what came before", async () => {
    const stream = streams()();
    stream.send(1, envelopes(1));
    stream.send(2, envelopes(5));
    const ended = await stream.rest();
    expect(ended).toMatchObject({ numbers: [1], reason: "FIELD_INVALID", field: "envelopes" });
    expect(ended).toMatchObject({ metadata: { batch_number: "2" } });
  });

  it("a number that waits for its answer, and takes it again after that", async () => {
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound })();
    stream.send(7, envelopes(1));
    const first = stream.next();
    await expect.poll(() => gates.length).toBe(1);
    gates[0]!.resolve();
    expect(await first).toMatchObject({ batchNumber: 7n });
    stream.send(7, envelopes(1));
    stream.send(7, envelopes(1));
    const rest = stream.rest();
    await expect.poll(() => gates.length).toBe(2);
    await settle();
    gates[1]!.resolve();
    expect(await rest).toMatchObject({ numbers: [7], reason: "FIELD_INVALID", field: "batch_number" });
  });

  it("a batch for a domain that is hosted elsewhere, by its number, and stores nothing of it", async () => {
    const elsewhere = seal(node, alice, stranger("bob@partner.test", node)).envelope;
    const before = node.contents();
    const stream = streams()();
    stream.send(3, [...envelopes(1), elsewhere]);
    expect(await stream.rest()).toMatchObject({
      numbers: [],
      code: "FailedPrecondition",
      reason: "DOMAIN_NOT_HOSTED",
      metadata: { batch_number: "3" },
    });
    expect(node.contents()).toBe(before);
  });

  it("more streams of a source than it may have open, and none of another's; a stream that ends gives its place back", async () => {
    const open = streams({ limits: { streamsPerSource: 2 } });
    const both = [open(), open()];
    for (const stream of both) {
      stream.send(1);
      await stream.next();
    }
    expect(await open().rest()).toMatchObject({ code: "ResourceExhausted", reason: "STREAM_LIMIT" });
    const other = open("198.51.100.0/24");
    other.finish();
    expect(await other.rest()).toEqual({ numbers: [] });
    both[0]!.finish();
    await both[0]!.rest();
    // Its reader has gone without reading on.
    both[1]!.leave();
    for (const stream of [open(), open()]) {
      stream.finish();
      expect(await stream.rest()).toEqual({ numbers: [] });
    }
  });
});

describe("a stream of deliveries", () => {
  it("answers every batch with results in the order of its envelopes, and ends when all is answered", async () => {
    const stream = streams()();
    const batch = envelopes(3);
    stream.send(1, batch);
    stream.send(2, []);
    stream.send(3, [batch[0]!, create(EnvelopeSchema), ...envelopes(1)]);
    stream.finish();
    const answers = new Map<number, DeliveryOutcome[]>();
    for (let answer = await stream.next(); answer !== undefined; answer = await stream.next()) {
      answers.set(
        Number(answer.batchNumber),
        answer.results.map(({ outcome }) => outcome),
      );
    }
    const { ACCEPTED, DUPLICATE, REJECTED } = DeliveryOutcome;
    expect(answers.get(1)).toEqual([ACCEPTED, ACCEPTED, ACCEPTED]);
    expect(answers.get(2)).toEqual([]);
    expect(answers.get(3)).toEqual([DUPLICATE, REJECTED, ACCEPTED]);
  });

  it("answers what is decided first, whatever came first", async () => {
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound })();
    stream.send(1, envelopes(1));
    stream.send(2, envelopes(1));
    stream.finish();
    const first = stream.next();
    await expect.poll(() => gates.length).toBe(2);
    gates[1]!.resolve();
    expect(await first).toMatchObject({ batchNumber: 2n });
    gates[0]!.resolve();
    expect(await stream.rest()).toEqual({ numbers: [1] });
  });

  it.each([
    ["envelopes", { envelopes: 4, bytes: 1e9 }],
    ["bytes", { envelopes: 1_000, bytes: 20_000 }],
  ])("stops reading while it has as many %s undecided as it takes, and then reads on", async (_, window) => {
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound, limits: { window } })();
    for (let number = 1; number <= 6; number++) stream.send(number, envelopes(2));
    stream.finish();
    const rest = stream.rest();
    await expect.poll(() => gates.length).toBe(2);
    await settle();
    expect(stream.asked()).toBe(2);
    gates[0]!.resolve();
    await expect.poll(() => stream.asked()).toBe(3);
    for (let number = 2; number <= 6; number++) {
      await expect.poll(() => gates.length).toBeGreaterThanOrEqual(number);
      gates[number - 1]!.resolve();
    }
    expect((await rest).numbers.sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("stops reading when its answers are not taken, of empty batches too", async () => {
    const stream = streams({ limits: { window: { envelopes: 4, bytes: 1e9 } } })();
    for (let number = 1; number <= 50; number++) stream.send(number, []);
    stream.finish();
    await stream.next();
    await settle();
    expect(stream.asked()).toBeLessThanOrEqual(5);
    const { numbers } = await stream.rest();
    expect(numbers).toHaveLength(49);
  });

  it("ends by itself when it has had nothing to do for a while", async () => {
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound, limits: { idleMs: 50 } })();
    stream.send(1, envelopes(1));
    const first = stream.next();
    await expect.poll(() => gates.length).toBe(1);
    // Undecided is not idle.
    await new Promise((resolve) => setTimeout(resolve, 150));
    gates[0]!.resolve();
    expect(await first).toMatchObject({ batchNumber: 1n });
    expect(await stream.rest()).toEqual({ numbers: [] });
  });

  it("answers what it has read when the node stops, and then says so", async () => {
    const stopping = new AbortController();
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound, shutdown: stopping.signal })();
    stream.send(1, envelopes(1));
    stream.send(2, envelopes(1));
    const rest = stream.rest();
    await expect.poll(() => gates.length).toBe(2);
    stopping.abort();
    await settle();
    stream.send(3, envelopes(1));
    gates[1]!.resolve();
    gates[0]!.resolve();
    const ended = await rest;
    expect(ended).toMatchObject({ numbers: [2, 1], code: "Unavailable", reason: "SHUTTING_DOWN" });
    expect(ended).toHaveProperty("retryAfterMs");
    expect(gates).toHaveLength(2);
  });

  it("answers what it has read when its caller's messages break off, and fails with what broke them", async () => {
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound })();
    stream.send(1, envelopes(1));
    const rest = stream.rest();
    await expect.poll(() => gates.length).toBe(1);
    stream.cut(new Error("cut off"));
    await settle();
    gates[0]!.resolve();
    expect(await rest).toMatchObject({ numbers: [1], code: "Internal" });
  });

  it("ends at once when its caller has gone", async () => {
    const { inbound, gates } = gatedInbound();
    const stream = streams({ inbound })();
    stream.send(1, envelopes(1));
    const first = stream.next();
    await expect.poll(() => gates.length).toBe(1);
    stream.leave();
    await expect(first).rejects.toMatchObject({ code: Code.Canceled });
    gates[0]!.resolve();
  });
});
