// DeliverShareStream over a real socket, as another node's client speaks it: answers come while the stream is open, and what
// a stopping node leaves without an answer is delivered again and is there once.

import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  type DeliverShareStreamResponse,
  DeliveryOutcome,
  FederationService,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { environment, PATIENCE, type Person, seal, shareIds, signUp } from "../support/clients.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 120_000;
const TRANSPORTS = [
  ["gRPC", createGrpcTransport],
  ["Connect", createConnectTransport],
] as const;

let node: TestNode;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  node = await startTestNode({ domain: "acme.test" });
  const env = environment([node]);
  [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@acme.test")]);
}, TIMEOUT_MS);
afterAll(() => node.remove(), TIMEOUT_MS);

async function sealed(count: number): Promise<{ envelope: Envelope; shareId: Uint8Array }[]> {
  return Promise.all(Array.from({ length: count }, () => seal(alice, bob, { kind: "text", text: "x" })));
}

/** A stream that stays open until it is finished. */
function openStream(createTransport: (typeof TRANSPORTS)[number][1]) {
  const transport = createTransport({ baseUrl: node.origin, httpVersion: "2" });
  const waiting: { batchNumber: bigint; envelopes: Envelope[] }[] = [];
  let isFinished = false;
  let wake = () => {};
  async function* requests() {
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (isFinished) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }
  const answers = createClient(FederationService, transport).deliverShareStream(requests());
  const iterator = answers[Symbol.asyncIterator]();
  return {
    send(batchNumber: number, envelopes: Envelope[]) {
      waiting.push({ batchNumber: BigInt(batchNumber), envelopes });
      wake();
    },
    finish() {
      isFinished = true;
      wake();
    },
    async next(): Promise<DeliverShareStreamResponse | undefined> {
      const { value, done } = await iterator.next();
      return done === true ? undefined : value;
    },
  };
}

const outcomes = (answer: DeliverShareStreamResponse | undefined) =>
  answer?.results.map(({ outcome }) => outcome);

it.each(TRANSPORTS)(
  "a stream over %s is answered while it is open, batch by batch",
  { timeout: TIMEOUT_MS },
  async (_, createTransport) => {
    const stream = openStream(createTransport);
    const [first, second, third] = await Promise.all([sealed(3), sealed(40), sealed(1)]);
    stream.send(
      1,
      first.map(({ envelope }) => envelope),
    );
    const answer = await stream.next();
    expect(answer).toMatchObject({ batchNumber: 1n });
    expect(outcomes(answer)).toEqual(Array(3).fill(DeliveryOutcome.ACCEPTED));

    stream.send(
      2,
      second.map(({ envelope }) => envelope),
    );
    stream.send(3, [first[0]!.envelope, third[0]!.envelope]);
    stream.finish();
    const rest = new Map<bigint, DeliveryOutcome[] | undefined>();
    for (let one = await stream.next(); one !== undefined; one = await stream.next()) {
      rest.set(one.batchNumber, outcomes(one));
    }

    expect(rest.get(2n)).toEqual(Array(40).fill(DeliveryOutcome.ACCEPTED));
    expect(rest.get(3n)).toEqual([DeliveryOutcome.DUPLICATE, DeliveryOutcome.ACCEPTED]);
    const ids = [...first, ...second, ...third].map(({ shareId }) => toHex(shareId));
    expect(await shareIds(bob)).toEqual(expect.arrayContaining(ids));
  },
);

it("a node that stops ends its streams, and what has no answer can be delivered again", {
  timeout: TIMEOUT_MS,
}, async () => {
  const sent = await sealed(30);
  const envelopes = sent.map(({ envelope }) => envelope);
  const stream = openStream(createGrpcTransport);
  stream.send(1, envelopes.slice(0, 1));
  expect(await stream.next()).toMatchObject({ batchNumber: 1n });
  for (const [index, envelope] of envelopes.entries()) stream.send(index + 2, [envelope]);
  const stopping = node.stop();
  await expect(
    (async () => {
      while ((await stream.next()) !== undefined);
    })(),
  ).rejects.toThrow(/stopping/);
  stream.finish();
  await stopping;

  await node.start();
  const again = openStream(createGrpcTransport);
  again.send(1, envelopes);
  again.finish();
  const { ACCEPTED, DUPLICATE } = DeliveryOutcome;
  for (const outcome of outcomes(await again.next()) ?? []) expect([ACCEPTED, DUPLICATE]).toContain(outcome);
  expect(await again.next()).toBeUndefined();
  const ids = new Set(sent.map(({ shareId }) => toHex(shareId)));
  await expect
    .poll(async () => (await shareIds(bob)).filter((id) => ids.has(id)).length, PATIENCE)
    .toBe(sent.length);
});
