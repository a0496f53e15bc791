/**
 * DeliverShareStream (docs/protocol.md, section 6.3): batches that are decided side by side and answered as they are
 * decided. A stream reads on only while it has little undecided and unanswered, so that neither a fast sender nor one that
 * takes no answers fills this node: flow control holds it back. However it ends, what it has read is answered first.
 */

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type MethodImpl } from "@connectrpc/connect";
import {
  type DeliverShareStreamRequest,
  type DeliverShareStreamResponse,
  DeliverShareStreamResponseSchema,
  type FederationService,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { InboundError, sizeOf } from "../federation/inbound.ts";
import type { Carrier } from "../federation/inbound-delivery.ts";
import { minus, plus, type Size } from "../federation/inbound-room.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { serviceError } from "./errors.ts";
import { createStreamPlaces } from "./stream-places.ts";

/** What a stream may take of a node. */
export interface DeliveryStreamLimits {
  /** What may be undecided or unanswered when it reads on. */
  readonly window: Size;
  /** How long it stays open with nothing to do, in milliseconds. */
  readonly idleMs: number;
  /** Streams that are open at once from one source prefix, which may be a provider of many nodes. */
  readonly streamsPerSource: number;
}

/** The limits of a node. The time is below what the server allows for the next message, so that a stream ends cleanly. */
export const DELIVERY_STREAM_LIMITS: DeliveryStreamLimits = {
  window: { envelopes: 1_024, bytes: 8 * 1024 * 1024 },
  idleMs: 30_000,
  streamsPerSource: 32,
};

const SHUTDOWN_RETRY_MS = 1_000;

/** Makes the method. */
export function createDeliveryStream(
  context: ServiceContext,
  limits: DeliveryStreamLimits = DELIVERY_STREAM_LIMITS,
): MethodImpl<typeof FederationService.method.deliverShareStream> {
  const places = createStreamPlaces<string>(limits.streamsPerSource, "a source");
  return async function* deliverShareStream(requests, call) {
    const { sourcePrefix, connectionId } = call.values.get(callerKey);
    const release = places.take(sourcePrefix);
    // A generator that waits to be read on does not notice that its reader has gone.
    call.signal.addEventListener("abort", release);
    const carrier = { prefix: sourcePrefix, connectionId };
    const stream = openStream(context, limits, requests, carrier, call);
    try {
      for (let answer = await stream.next(); answer !== undefined; answer = await stream.next()) {
        yield answer;
        stream.taken(answer);
      }
    } finally {
      stream.close();
      call.signal.removeEventListener("abort", release);
      release();
    }
  };
}

/** A stream that reads by itself. */
interface DeliveryStream {
  /** The next answer, or undefined when there will be none. @throws ConnectError with which the stream ends. */
  next(): Promise<DeliverShareStreamResponse | undefined>;
  /** The reader has taken an answer. */
  taken(answer: DeliverShareStreamResponse): void;
  close(): void;
}

function openStream(
  { inbound, shutdown, limits: { maxDeliveryEnvelopes } }: ServiceContext,
  { window, idleMs }: DeliveryStreamLimits,
  requests: AsyncIterable<DeliverShareStreamRequest>,
  carrier: Carrier,
  { signal }: HandlerContext,
): DeliveryStream {
  const messages = requests[Symbol.asyncIterator]();
  const bell = createBell();
  /** What was read and not taken back as an answer, by number. */
  const open = new Map<bigint, Size>();
  const answers: DeliverShareStreamResponse[] = [];
  let held: Size = { envelopes: 0, bytes: 0 };
  let undecided = 0;
  let stopped = false;
  let reading = true;
  let failure: unknown;
  let idleTimer: NodeJS.Timeout | undefined;

  const stopReading = () => {
    stopped = true;
    bell.ring();
  };
  const fail = (error: unknown) => {
    failure ??= error;
    stopReading();
  };
  const leave = () => fail(ConnectError.from(signal.reason, Code.Canceled));
  shutdown.addEventListener("abort", stopReading);
  signal.addEventListener("abort", leave);
  if (shutdown.aborted) stopReading();
  if (signal.aborted) leave();
  watchIdleness();
  void read()
    .catch(fail)
    .finally(() => {
      reading = false;
      bell.ring();
    });

  async function read(): Promise<void> {
    while (!stopped) {
      const message = await nextMessage();
      if (message === undefined) return;
      await begin(message);
      while (!stopped && isFull()) await bell.wait();
    }
  }

  /** The next message; undefined at the end of the stream, or when no more is to be read. */
  async function nextMessage(): Promise<DeliverShareStreamRequest | undefined> {
    let arrived: IteratorResult<DeliverShareStreamRequest> | undefined;
    messages
      .next()
      .then((next) => {
        arrived = next;
        bell.ring();
      })
      // The server ends the wait for the next message when it stops, which is no failure of this stream.
      .catch((error: unknown) => (shutdown.aborted ? stopReading() : fail(error)));
    while (arrived === undefined && !stopped) await bell.wait();
    return arrived?.done === true ? undefined : arrived?.value;
  }

  async function begin({ batchNumber, envelopes }: DeliverShareStreamRequest): Promise<void> {
    const refuse = (field: string, message: string) => {
      const metadata = { batch_number: String(batchNumber) };
      return serviceError("FIELD_INVALID", `${field}: ${message}`, { field, metadata });
    };
    if (open.has(batchNumber)) throw refuse("batch_number", "must be unique among batches without an answer");
    if (envelopes.length > maxDeliveryEnvelopes) {
      throw refuse("envelopes", `must be at most ${maxDeliveryEnvelopes}`);
    }
    clearTimeout(idleTimer);
    const { bytes } = sizeOf(envelopes);
    // A batch of nothing has an answer too.
    const size = { envelopes: Math.max(envelopes.length, 1), bytes };
    open.set(batchNumber, size);
    held = plus(held, size);
    const { decided } = await inbound.take(envelopes, carrier, signal);
    undecided += 1;
    decided
      .then((results) => {
        answers.push(create(DeliverShareStreamResponseSchema, { batchNumber, results }));
      })
      .catch((error: unknown) => fail(wrongNode(error, batchNumber)))
      .finally(() => {
        undecided -= 1;
        bell.ring();
      });
  }

  function isFull(): boolean {
    return held.envelopes >= window.envelopes || held.bytes >= window.bytes;
  }

  function watchIdleness(): void {
    clearTimeout(idleTimer);
    if (open.size === 0) idleTimer = setTimeout(stopReading, idleMs);
  }

  return {
    async next() {
      for (;;) {
        if (signal.aborted) throw failure;
        const answer = answers.shift();
        if (answer !== undefined) return answer;
        if (!reading && undecided === 0) break;
        await bell.wait();
      }
      if (failure !== undefined) throw failure;
      if (shutdown.aborted) {
        const message = "this node is stopping: deliver what has no answer again";
        throw serviceError("SHUTTING_DOWN", message, { retryAfterMs: SHUTDOWN_RETRY_MS });
      }
      return undefined;
    },

    taken({ batchNumber }) {
      const size = open.get(batchNumber);
      if (size === undefined) return;
      open.delete(batchNumber);
      held = minus(held, size);
      watchIdleness();
      bell.ring();
    },

    close() {
      stopReading();
      clearTimeout(idleTimer);
      shutdown.removeEventListener("abort", stopReading);
      signal.removeEventListener("abort", leave);
    },
  };
}

/** Wakes all who wait for something to change. */
interface Bell {
  ring(): void;
  wait(): Promise<void>;
}

function createBell(): Bell {
  let rung = Promise.withResolvers<void>();
  return {
    ring() {
      rung.resolve();
      rung = Promise.withResolvers<void>();
    },
    wait: () => rung.promise,
  };
}

/** A batch that went to the wrong node, named for whoever carries batches for several domains on one stream. */
function wrongNode(error: unknown, batchNumber: bigint): unknown {
  if (!(error instanceof InboundError)) return error;
  const metadata = { batch_number: String(batchNumber) };
  return serviceError(error.reason, error.message, { metadata, cause: error });
}
