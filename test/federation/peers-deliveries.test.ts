// Deliveries to peers over real sockets: over streams, over calls where there are none, and to peers that answer as no node does.

import net from "node:net";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { type Envelope, EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcome, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { createPeerRoutes } from "../../src/federation/delivery-routes.ts";
import { startHttp2, startHttps, startTcp } from "../support/hostile-server.ts";
import { callersOf, credentials } from "./callers.ts";
import { peerError } from "./network.ts";

const SHORT_MS = 300;
const never = () => new AbortController().signal;

type Stream = ServiceImpl<typeof FederationService>["deliverShareStream"];
type Batches = Parameters<Stream>[0];
type Answer = Awaited<ReturnType<typeof answerTo>>;

/** Envelopes that tell what they are by their ciphertext. */
const envelopes = (...names: string[]): Envelope[] =>
  names.map((name) => create(EnvelopeSchema, { ciphertext: Buffer.from(name) }));

const accept = (batch: readonly Envelope[]) =>
  batch.map(({ ciphertext }) => ({ shareId: ciphertext, outcome: DeliveryOutcome.ACCEPTED }));

function answerTo({
  batchNumber,
  envelopes: batch,
}: {
  batchNumber: bigint;
  envelopes: readonly Envelope[];
}) {
  return { batchNumber, results: accept(batch) };
}

/** A node that takes every delivery, over a stream as the test says, and counts what it is asked. */
function peer(stream: Stream | undefined, more: (router: ConnectRouter) => void = () => {}) {
  const calls = { streams: 0, batches: [] as number[], unary: [] as number[], infos: 0 };
  const handler = connectNodeAdapter({
    requestPathPrefix: "/api",
    routes: (router) => {
      router.service(FederationService, {
        deliverShares: ({ envelopes: batch }) => {
          calls.unary.push(batch.length);
          return { results: accept(batch) };
        },
        ...(stream && {
          deliverShareStream: (requests: Batches, context) => {
            calls.streams += 1;
            return stream(counted(requests, calls.batches), context);
          },
        }),
      });
      router.service(DiscoveryService, {
        getServerInfo: () => {
          calls.infos += 1;
          return { limits: { maxDeliveryEnvelopes: 10, maxRequestBytes: 100_000, maxEnvelopeBytes: 50_000 } };
        },
      });
      more(router);
    },
  });
  return { calls, handler };
}

async function* counted(requests: Batches, sizes: number[]): Batches {
  for await (const request of requests) {
    sizes.push(request.envelopes.length);
    yield request;
  }
}

const answering: Stream = async function* (requests) {
  for await (const request of requests) yield answerTo(request);
};

const names = (results: readonly { shareId: Uint8Array }[]) =>
  results.map(({ shareId }) => Buffer.from(shareId).toString());

function refusing(reason: string, code: Code): Stream {
  return async function* () {
    const error = new ConnectError("no", code);
    error.details.push({ desc: ErrorInfoSchema, value: { reason, domain: "keypears.v1" } });
    yield* [] as Answer[];
    throw error;
  };
}

describe("deliveries", () => {
  it("go out as batches of one stream and settle as they are answered, in whatever order", async () => {
    const held: Answer[] = [];
    const { handler, calls } = peer(async function* (requests) {
      for await (const request of requests) {
        held.push(answerTo(request));
        if (held.length === 3) for (const one of held.toReversed().slice(0, 2)) yield one;
        if (held.length === 4 && held[0]) yield held[0];
      }
      if (held[3]) yield held[3];
    });
    const server = await startHttp2(credentials, handler);
    const open = createPeerRoutes(callersOf(server).peers);
    const route = await open("acme.test", never());
    const order: string[] = [];
    const deliver = async (...batch: string[]) => {
      order.push(...names(await route.deliver(envelopes(...batch), never())));
    };
    const first = deliver("1", "2");
    await Promise.all([deliver("3"), deliver("4", "5")]);
    expect(order).toEqual(["4", "5", "3"]);
    await Promise.race([Promise.all([first, deliver("6")]), first]);
    expect(order).toEqual(["4", "5", "3", "1", "2"]);
    expect(calls).toMatchObject({ streams: 1, unary: [], batches: [2, 1, 2, 1] });
    expect(server.connections()).toBe(1);
  });

  it("end their stream when there is nothing to send for a while, and open another one then", async () => {
    let ended = 0;
    const { handler, calls } = peer(async function* (requests) {
      for await (const request of requests) yield answerTo(request);
      ended += 1;
    });
    const server = await startHttp2(credentials, handler);
    const open = createPeerRoutes(callersOf(server, { streamTimes: { idleMs: 50 } }).peers);
    const route = await open("acme.test", never());
    await route.deliver(envelopes("1"), never());
    await expect.poll(() => ended, { timeout: 5_000 }).toBe(1);
    expect(names(await route.deliver(envelopes("2"), never()))).toEqual(["2"]);
    expect(calls).toMatchObject({ streams: 2, unary: [] });
    expect(server.connections()).toBe(1);
  });

  it("look for their domain anew from time to time, without losing an answer", async () => {
    const { handler, calls } = peer(answering);
    const server = await startHttp2(credentials, handler);
    const { peers, sources } = callersOf(server, { streamTimes: { maxAgeMs: 20 } });
    const route = await createPeerRoutes(peers)("acme.test", never());
    const before = sources.length;
    await vi.waitFor(
      async () => {
        expect(names(await route.deliver(envelopes("1"), never()))).toEqual(["1"]);
        expect(calls.streams).toBeGreaterThan(2);
      },
      { timeout: 10_000, interval: 10 },
    );
    expect(sources.length).toBeGreaterThanOrEqual(before + 2);
  });

  it("keep within what the peer says that it takes, which it is asked once", async () => {
    const { handler, calls } = peer(answering);
    const server = await startHttp2(credentials, handler);
    const open = createPeerRoutes(callersOf(server).peers);
    await open("acme.test", never());
    const route = await open("acme.test", never());
    const limits = route.limits();
    expect(limits).toMatchObject({ maxEnvelopes: 10, maxEnvelopeBytes: 50_000 });
    expect(limits.maxBytes).toBeLessThan(100_000);
    expect(limits.maxBatches).toBeGreaterThan(1);
    expect(calls.infos).toBe(1);
  });

  it("go to a peer that says nothing of its limits, or nonsense, within this node's own", async () => {
    for (const said of [undefined, { maxDeliveryEnvelopes: 0xffff_ffff, maxRequestBytes: 0xffff_ffff }]) {
      const handler = connectNodeAdapter({
        requestPathPrefix: "/api",
        routes: (router) => {
          if (said !== undefined)
            router.service(DiscoveryService, { getServerInfo: () => ({ limits: said }) });
        },
      });
      const server = await startHttp2(credentials, handler);
      const route = await createPeerRoutes(callersOf(server).peers)("acme.test", never());
      const { maxEnvelopes, maxBytes, maxEnvelopeBytes } = route.limits();
      expect(maxEnvelopes).toBe(256);
      expect(maxBytes).toBeLessThan(4 * 1024 * 1024);
      expect(maxEnvelopeBytes).toBe(256 * 1024);
    }
  });

  it.each<[string, Stream | undefined]>([
    ["does not know the stream", undefined],
    ["does not know the stream, in this protocol's words", refusing("METHOD_UNKNOWN", Code.Unimplemented)],
    ["has no place for another stream", refusing("STREAM_LIMIT", Code.ResourceExhausted)],
  ])("go to a peer that %s as calls, at once and from then on", async (_what, stream) => {
    const { handler, calls } = peer(stream);
    const server = await startHttp2(credentials, handler);
    const route = await createPeerRoutes(callersOf(server).peers)("acme.test", never());
    expect(names(await route.deliver(envelopes("1", "2"), never()))).toEqual(["1", "2"]);
    expect(names(await route.deliver(envelopes("3"), never()))).toEqual(["3"]);
    expect(calls.unary).toEqual([2, 1]);
    expect(calls.streams).toBeLessThanOrEqual(1);
    expect(route.limits().maxBatches).toBeGreaterThan(1);
  });

  it.each([404, 405, 411, 415, 501, 505])(
    "go past a proxy that answers the stream with HTTP %i as calls",
    async (status) => {
      const { handler, calls } = peer(answering);
      const server = await startHttp2(credentials, (request, response) => {
        if (!request.url.endsWith("DeliverShareStream")) return void handler(request, response);
        request.resume();
        response.writeHead(status).end();
      });
      const route = await createPeerRoutes(callersOf(server).peers)("acme.test", never());
      expect(names(await route.deliver(envelopes("1"), never()))).toEqual(["1"]);
      expect(calls.unary).toEqual([1]);
    },
  );

  it("go to a peer that speaks HTTP/1.1 only as small calls, one after another", async () => {
    const { handler, calls } = peer(answering);
    const server = await startHttps(credentials, handler);
    const route = await createPeerRoutes(callersOf(server).peers)("acme.test", never());
    expect(names(await route.deliver(envelopes("1"), never()))).toEqual(["1"]);
    expect(calls).toMatchObject({ streams: 0, unary: [1] });
    expect(route.limits().maxBatches).toBe(1);
    expect(route.limits().maxEnvelopes).toBeLessThanOrEqual(32);
  });

  it("fail with what stands between where the peer cannot be reached", async () => {
    const { handler } = peer(answering);
    const server = await startHttp2(credentials, handler);
    await server.stop();
    const error = await peerError(createPeerRoutes(callersOf(server).peers)("acme.test", never()));
    expect(error.reason).toBe("PEER_UNREACHABLE");
  });
});

describe("a stream of deliveries", () => {
  /** Delivers two batches at once to a peer that answers so; answers with what became of each, and how it is afterwards. */
  async function deliverTo(stream: Stream, signal: () => AbortSignal = never) {
    let honest = false;
    const { handler, calls } = peer((requests, context) =>
      honest ? answering(requests, context) : stream(requests, context),
    );
    const server = await startHttp2(credentials, handler);
    const callers = callersOf(server);
    const route = await createPeerRoutes(callers.peers)("acme.test", never());
    const outcomes = await Promise.all(
      [envelopes("1"), envelopes("2", "3")].map((batch) =>
        route.deliver(batch, signal()).then(names, (error: { reason: string }) => error.reason),
      ),
    );
    honest = true;
    expect(names(await route.deliver(envelopes("4"), never()))).toEqual(["4"]);
    expect(calls.unary).toEqual([]);
    return { outcomes, ...callers };
  }

  const INVALID = "PEER_RESPONSE_INVALID";

  it("that answers what nobody asked ends, and what it left unanswered fails", async () => {
    const { outcomes } = await deliverTo(async function* (requests) {
      for await (const request of requests) {
        yield answerTo(request);
        yield { batchNumber: 99n, results: [] };
      }
    });
    expect(outcomes).toEqual([["1"], INVALID]);
  });

  it("that answers twice ends", async () => {
    const { outcomes } = await deliverTo(async function* (requests) {
      for await (const request of requests) {
        yield answerTo(request);
        yield answerTo(request);
      }
    });
    expect(outcomes).toEqual([["1"], INVALID]);
  });

  it.each([
    ["fewer", []],
    ["more", Array(3).fill({ outcome: DeliveryOutcome.ACCEPTED })],
  ])("that gives %s results than a batch has envelopes ends", async (_what, results) => {
    const { outcomes } = await deliverTo(async function* (requests) {
      for await (const { batchNumber } of requests) yield { batchNumber, results };
    });
    expect(outcomes).toEqual([INVALID, INVALID]);
  });

  it("that ends in the middle leaves open what became of the rest", async () => {
    const { outcomes } = await deliverTo(async function* (requests) {
      for await (const request of requests) {
        yield answerTo(request);
        return;
      }
    });
    expect(outcomes).toEqual([["1"], "PEER_UNREACHABLE"]);
  });

  it("that fails in the middle says why", async () => {
    const { outcomes, invalidated } = await deliverTo(async function* (requests, context) {
      for await (const request of requests) {
        yield answerTo(request);
        yield* await refusing("DOMAIN_NOT_HOSTED", Code.FailedPrecondition)(requests, context);
      }
    });
    expect(outcomes).toEqual([["1"], "PEER_REFUSED"]);
    expect(invalidated).toEqual(["acme.test"]);
  });

  it("that never answers is given up on when time runs out, and an answer after that changes nothing", async () => {
    const late = Promise.withResolvers<void>();
    const { outcomes } = await deliverTo(
      async function* (requests) {
        for await (const request of requests) {
          await late.promise;
          yield answerTo(request);
        }
      },
      () => AbortSignal.timeout(SHORT_MS),
    );
    late.resolve();
    expect(outcomes).toEqual(["PEER_TIMEOUT", "PEER_TIMEOUT"]);
  });

  it("that nobody reads holds no more than was handed to it, and is given up on", async () => {
    let read = 0;
    const { handler } = peer(async function* (requests) {
      for await (const request of requests) {
        read += 1;
        await new Promise(() => {});
        yield answerTo(request);
      }
    });
    const server = await startHttp2(credentials, handler);
    const route = await createPeerRoutes(callersOf(server).peers)("acme.test", never());
    const large = () => [create(EnvelopeSchema, { ciphertext: new Uint8Array(1024 * 1024) })];
    const reasons = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const error = await peerError(route.deliver(large(), AbortSignal.timeout(SHORT_MS)));
        return error.reason;
      }),
    );
    expect(new Set(reasons)).toEqual(new Set(["PEER_TIMEOUT"]));
    expect(read).toBeLessThanOrEqual(1);
  });

  it("of a call that is cancelled ends as cancelled", async () => {
    const { outcomes } = await deliverTo(
      async function* (requests) {
        for await (const request of requests) {
          await new Promise(() => {});
          yield answerTo(request);
        }
      },
      () => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(new Error("stopping")), 50);
        return controller.signal;
      },
    );
    expect(outcomes).toEqual(["PEER_CALL_CANCELLED", "PEER_CALL_CANCELLED"]);
  });

  it.each<[string, (send: (bytes: Uint8Array) => void, end: () => void) => void, readonly string[]]>([
    ["bytes that are no message", (send) => send(Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff])), [INVALID]],
    ["noise", (send) => send(Buffer.alloc(4_000, 0xa5)), [INVALID, "PEER_RESPONSE_TOO_LARGE"]],
    [
      "a message without end",
      (send) => send(Buffer.from([0, 0xff, 0xff, 0xff, 0xff])),
      ["PEER_RESPONSE_TOO_LARGE"],
    ],
    ["a compressed message", (send) => send(Buffer.from([1, 0, 0, 0, 1, 0])), [INVALID]],
    ["nothing at all", (_send, end) => end(), [INVALID, "PEER_UNREACHABLE"]],
  ])("that answers with %s ends", async (_what, answer, reasons) => {
    const { handler } = peer(answering);
    const server = await startHttp2(credentials, (request, response) => {
      if (!request.url.endsWith("DeliverShareStream")) return void handler(request, response);
      request.resume();
      response.setHeader("content-type", "application/connect+proto");
      answer(
        (bytes) => response.write(bytes),
        () => response.end(),
      );
    });
    const route = await createPeerRoutes(callersOf(server).peers)("acme.test", never());
    const error = await peerError(route.deliver(envelopes("1"), AbortSignal.timeout(5_000)));
    expect(reasons).toContain(error.reason);
    expect(error.retryable).toBe(true);
  });

  it("to a peer that vanished is given up on long before its time runs out", async () => {
    const arrived = Promise.withResolvers<void>();
    const { handler } = peer(async function* (requests) {
      for await (const request of requests) {
        arrived.resolve();
        await new Promise(() => {});
        yield answerTo(request);
      }
    });
    const server = await startHttp2(credentials, handler);
    const cables: net.Socket[] = [];
    const gate = await startTcp((near) => {
      const far = net.connect(server.port, "127.0.0.1");
      far.on("error", () => {});
      near.pipe(far).pipe(near);
      cables.push(near);
    });
    const limits = { pingIntervalMs: 50, pingTimeoutMs: SHORT_MS };
    const route = await createPeerRoutes(callersOf(gate, { limits }).peers)("acme.test", never());
    const delivery = peerError(route.deliver(envelopes("1"), never()));
    await arrived.promise;
    for (const cable of cables) cable.unpipe().pause();
    expect((await delivery).reason).toBe("PEER_UNREACHABLE");
  });

  it("ends with the node", async () => {
    const { handler } = peer(async function* (requests) {
      for await (const request of requests) {
        await new Promise(() => {});
        yield answerTo(request);
      }
    });
    const server = await startHttp2(credentials, handler);
    const { peers } = callersOf(server);
    const route = await createPeerRoutes(peers)("acme.test", never());
    const delivery = peerError(route.deliver(envelopes("1"), never()));
    peers.close();
    expect((await delivery).reason).toBe("PEER_CALL_CANCELLED");
    await expect.poll(() => server.open().length, { timeout: 5_000 }).toBe(0);
  });
});
