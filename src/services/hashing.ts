/**
 * HashService (docs/protocol.md, section 8): BLAKE3 of what fits one message, for everyone, and of a stream of any size, for
 * accounts. Large data is hashed a slice at a time, with other callers' work in between.
 */

import { setImmediate } from "node:timers/promises";
import type { ServiceImpl } from "@connectrpc/connect";
import type { HashService } from "../../gen/keypears/v1/hash_service_pb.ts";
import { BLAKE3_LENGTH, BLAKE3_MAX_LENGTH, type Blake3Hasher, primitives } from "../crypto/index.ts";
import {
  type AuthenticatedSession,
  type Caller,
  callerKey,
  requireSession,
  type ServiceContext,
  sessionInvalid,
} from "./context.ts";
import { fieldError } from "./errors.ts";
import { createStreamPlaces } from "./stream-places.ts";

/** Open hash streams of one account in one process: each takes a share of the processor, not only a place. */
export const MAX_HASH_STREAMS_PER_ACCOUNT = 8;

/** What is hashed before others get their turn: less than a millisecond in the native tier. */
const SLICE_BYTES = 256 * 1024;

/** Makes the service. */
export function createHashService(context: ServiceContext): ServiceImpl<typeof HashService> {
  const places = createStreamPlaces(MAX_HASH_STREAMS_PER_ACCOUNT);
  return {
    async blake3({ data, outputLength }, call) {
      await spendHash(context, call.values.get(callerKey));
      return { hash: await hashData(data, outputLengthField(outputLength)) };
    },

    async blake3Stream(requests, call) {
      const caller = requireSession(call);
      const release = places.take(caller.account.id);
      const hasher = primitives().blake3.hasher();
      let length: number | undefined;
      let bytesHashed = 0;
      try {
        for await (const { data, outputLength } of duringSession(context, caller, requests, call.signal)) {
          length ??= outputLengthField(outputLength);
          await append(hasher, data);
          bytesHashed += data.length;
        }
        return { hash: hasher.digest(length), bytesHashed: BigInt(bytesHashed) };
      } finally {
        release();
      }
    },
  };
}

/**
 * Takes what a hash costs: a look-up of where the request comes from, and nothing with a session.
 *
 * @throws ConnectError RATE_LIMITED
 */
export async function spendHash(
  context: Pick<ServiceContext, "spend">,
  { session, sourcePrefix }: Caller,
): Promise<void> {
  if (typeof session !== "object") await context.spend("lookup", `prefix:${sourcePrefix}`);
}

/** BLAKE3 of data, `length` bytes of 1 to 1,024. */
export async function hashData(data: Uint8Array, length = BLAKE3_LENGTH): Promise<Uint8Array> {
  const { blake3 } = primitives();
  if (data.length <= SLICE_BYTES) return blake3.hash(data, length);
  const hasher = blake3.hasher();
  await append(hasher, data);
  return hasher.digest(length);
}

async function append(hasher: Blake3Hasher, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length; at += SLICE_BYTES) {
    if (at > 0) await setImmediate();
    hasher.update(data.subarray(at, at + SLICE_BYTES));
  }
}

function outputLengthField(length: number): number {
  if (length <= BLAKE3_MAX_LENGTH) return length === 0 ? BLAKE3_LENGTH : length;
  throw fieldError("output_length", `must be at most ${BLAKE3_MAX_LENGTH}, is ${length}`);
}

/**
 * The messages of a stream, as long as its caller and its session are there. The session's end in this process ends the
 * stream at once; one in another process is found in the database, looked up with a message every few seconds.
 *
 * @throws ConnectError SESSION_INVALID, or the signal's reason.
 */
async function* duringSession<T>(
  { events, stores, clock, watchPollMs }: ServiceContext,
  { account, session, tokenHash }: AuthenticatedSession,
  messages: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  let failure: { readonly reason: unknown } | undefined;
  let wake = () => {};
  const fail = (reason: unknown) => {
    failure ??= { reason };
    wake();
  };
  const leave = () => fail(signal.reason);
  const stopListening = events.listen(account.id, (event) => {
    if (event.kind === "session-ended" && event.sessionId === session.id) fail(sessionInvalid());
  });
  signal.addEventListener("abort", leave);
  const iterator = messages[Symbol.asyncIterator]();
  let checkedAt = performance.now();
  try {
    for (;;) {
      // A promise of its own for each wait: one that lives as long as the stream would collect a listener at every race.
      const result = await new Promise<IteratorResult<T>>((resolve, reject) => {
        wake = () => reject(failure?.reason);
        if (failure !== undefined) wake();
        iterator.next().then(resolve, reject);
      });
      if (result.done === true) return;
      if (performance.now() - checkedAt >= watchPollMs) {
        if ((await stores.sessions.byTokenHash(tokenHash, clock())) === undefined) throw sessionInvalid();
        checkedAt = performance.now();
      }
      yield result.value;
    }
  } finally {
    stopListening();
    signal.removeEventListener("abort", leave);
    // Not awaited: it comes only after the message that is waited for, or when the call has ended.
    void iterator.return?.();
  }
}
