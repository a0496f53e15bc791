/**
 * The sending end of DeliverShareStream (docs/protocol.md, section 6.3): batches that are answered in any order over one
 * call, which ends by itself when there was nothing to send for a while. The peer is a stranger: an answer that belongs to no
 * batch, or does not fit its batch, ends the stream, and with it every batch that has no answer.
 */

import type { CallOptions } from "@connectrpc/connect";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import type {
  DeliverShareStreamResponse,
  DeliveryResult,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { invalidResponse, isTimeout, refusesStream, saysMoved, toPeerError } from "./call-errors.ts";
import { PeerError } from "./errors.ts";

/** A stream to one domain. */
export interface DeliveryStream {
  /** Whether it takes batches. */
  isOpen(): boolean;
  /**
   * Sends a batch. One result for each envelope, in their order; undefined if the peer turns out to take no such stream, and
   * has looked at nothing. A batch that is given up on ends the stream, since its answer could not be told from one too many.
   *
   * @throws PeerError when the stream ends before the answer. What became of the batch is not known then.
   */
  deliver(
    envelopes: readonly Envelope[],
    signal: AbortSignal,
  ): Promise<readonly DeliveryResult[] | undefined>;
  /** Ends it. Batches without an answer fail with PEER_CALL_CANCELLED. */
  close(): void;
}

/** Times of a stream, in milliseconds. */
export interface DeliveryStreamTimes {
  /** With nothing to send or to be answered for so long, it ends. */
  readonly idleMs: number;
  /** After this time it takes no more: the domain may live elsewhere by now, which only a new look tells. */
  readonly maxAgeMs: number;
  /** How long the peer may take to end it, once all is answered. */
  readonly closeMs: number;
}

/** What a stream is made of. */
export interface DeliveryStreamOptions {
  readonly domain: string;
  /** The method, bound to a connection. */
  readonly call: (
    requests: AsyncIterable<BatchMessage>,
    options: CallOptions,
  ) => AsyncIterable<DeliverShareStreamResponse>;
  /** Fires when the node stops. */
  readonly closing: AbortSignal;
  /** Called when the peer says that the domain lives elsewhere. */
  readonly onMoved: () => void;
  readonly times?: Partial<DeliveryStreamTimes>;
}

/** A batch as it is sent. */
export interface BatchMessage {
  readonly batchNumber: bigint;
  readonly envelopes: Envelope[];
}

// The peer's own idle time, 30 s in ours, must not come first: a batch could meet the end of the stream half-way.
const DEFAULT_TIMES: DeliveryStreamTimes = { idleMs: 2_000, maxAgeMs: 300_000, closeMs: 5_000 };

interface PendingBatch {
  readonly size: number;
  readonly resolve: (results: readonly DeliveryResult[] | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Opens a stream. Nothing is sent before the first batch. */
export function createDeliveryStream(options: DeliveryStreamOptions): DeliveryStream {
  const { domain, closing } = options;
  const times = { ...DEFAULT_TIMES, ...options.times };
  const ended = new AbortController();
  const unsent: BatchMessage[] = [];
  const pending = new Map<bigint, PendingBatch>();
  let more = Promise.withResolvers<void>();
  let lastNumber = 0n;
  let answered = false;
  let takesMore = true;
  let timer: NodeJS.Timeout | undefined;
  const tooOld = setTimeout(finish, times.maxAgeMs);
  tooOld.unref();

  const leave = () => fail(cancelled());
  closing.addEventListener("abort", leave);
  if (closing.aborted) {
    leave();
  } else {
    rest();
    void read();
  }

  async function* requests(): AsyncGenerator<BatchMessage> {
    while (takesMore || unsent.length > 0) {
      const next = unsent.shift();
      if (next !== undefined) yield next;
      else await more.promise;
    }
  }

  async function read(): Promise<void> {
    try {
      for await (const { batchNumber, results } of options.call(requests(), { signal: ended.signal })) {
        const batch = pending.get(batchNumber);
        if (batch === undefined) throw invalidResponse(domain, "to a batch that waits for none");
        if (results.length !== batch.size) {
          throw invalidResponse(domain, "with another number of results than envelopes");
        }
        answered = true;
        pending.delete(batchNumber);
        batch.resolve(results);
        if (pending.size === 0) rest();
      }
      fail(new PeerError("PEER_UNREACHABLE", domain, `${domain} ended a delivery before it had answered`));
    } catch (error) {
      if (!answered && refusesStream(domain, error)) refuse();
      else fail(failureOf(error));
    }
  }

  function failureOf(error: unknown): unknown {
    if (error instanceof PeerError) return error;
    try {
      const failure = toPeerError(domain, error);
      if (saysMoved(failure)) options.onMoved();
      return failure;
    } catch (ownFault) {
      return ownFault;
    }
  }

  /** The peer takes no such stream: whatever was sent was not looked at. */
  function refuse(): void {
    end((batch) => batch.resolve(undefined));
  }

  function fail(error: unknown): void {
    end((batch) => batch.reject(error));
  }

  function end(settle: (batch: PendingBatch) => void): void {
    finish();
    clearTimeout(timer);
    closing.removeEventListener("abort", leave);
    unsent.length = 0;
    const left = [...pending.values()];
    pending.clear();
    ended.abort();
    for (const batch of left) settle(batch);
  }

  /** Takes no more; what was taken is sent and answered. */
  function finish(): void {
    if (!takesMore) return;
    takesMore = false;
    clearTimeout(tooOld);
    more.resolve();
    if (pending.size === 0) rest();
  }

  /** Nothing waits for an answer. */
  function rest(): void {
    clearTimeout(timer);
    timer = setTimeout(takesMore ? finish : leave, takesMore ? times.idleMs : times.closeMs);
    timer.unref();
  }

  function tooLate(): PeerError {
    return new PeerError("PEER_TIMEOUT", domain, `${domain} did not answer in time`);
  }

  function cancelled(): PeerError {
    return new PeerError("PEER_CALL_CANCELLED", domain, `the delivery to ${domain} was cancelled`);
  }

  return {
    isOpen: () => takesMore,

    deliver: (envelopes, signal) =>
      new Promise((resolve, reject) => {
        if (!takesMore || signal.aborted) {
          reject(cancelled());
          return;
        }
        clearTimeout(timer);
        lastNumber += 1n;
        const batchNumber = lastNumber;
        const giveUp = () => fail(isTimeout(signal.reason) ? tooLate() : cancelled());
        const settled = <T>(settle: (value: T) => void) => {
          return (value: T) => {
            signal.removeEventListener("abort", giveUp);
            settle(value);
          };
        };
        signal.addEventListener("abort", giveUp, { once: true });
        pending.set(batchNumber, {
          size: envelopes.length,
          resolve: settled(resolve),
          reject: settled(reject),
        });
        unsent.push({ batchNumber, envelopes: [...envelopes] });
        more.resolve();
        more = Promise.withResolvers<void>();
      }),

    close: leave,
  };
}
