/**
 * One call on its way through the RPC library: what the node knows of it, and the interceptor that lends the library the
 * messages which are received beside it, keeps the call within its signals, and lets no error out untranslated.
 */

import type { Message } from "@bufbuild/protobuf";
import {
  Code,
  type ConnectError,
  type ContextKey,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";
import type { Logger } from "../../logger.ts";
import type { Caller } from "../../services/context.ts";
import { reasonOf } from "../../services/errors.ts";
import { callError } from "./errors.ts";

/** A call that is under way. */
export interface Call {
  /** Under which logs speak of it. */
  readonly requestId: string;
  /** Who calls, once that is known. */
  caller?: Caller;
  /** The decoded request message, once it was received. */
  message?: Message;
  /** Where the caller sends a stream: receives its messages, until the signal ends that. */
  messages?: (signal: AbortSignal) => AsyncIterable<Message>;
  /** Size of the request messages as they came so far. */
  bytesIn: number;
  /** Size of the answer so far. */
  bytesOut: number;
  /** How it failed, if it did. */
  error?: ConnectError;
}

/** Where an interceptor finds its call. */
export const callKey: ContextKey<Call> = createContextKey<Call>(
  { requestId: "none", bytesIn: 0, bytesOut: 0 },
  { description: "the call under way" },
);

/** The code and reason of a call's end, as logs write them. */
export function outcomeOf(call: Call): { readonly code: string; readonly reason?: string | undefined } {
  if (call.error === undefined) return { code: "OK" };
  const code = (Code[call.error.code] ?? "Unknown").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return { code, reason: reasonOf(call.error) };
}

/** Notes that a call failed, and gives the error that its caller may see. */
export function failCall(call: Call, error: unknown, log: Logger): ConnectError {
  call.error = callError(error, call.requestId, log);
  return call.error;
}

/**
 * The interceptor that stands around every method.
 *
 * @param stopping aborted when the node stops: streams then end, unary calls may finish.
 */
export function callInterceptor(stopping: AbortSignal, log: Logger): Interceptor {
  return (next) => async (request) => {
    const call = request.contextValues.get(callKey);
    try {
      if (!request.stream) {
        return await until(request.signal, next({ ...request, message: received(call) }));
      }
      const signal = AbortSignal.any([request.signal, stopping]);
      const message = call.messages?.(signal) ?? once(received(call));
      const response = await until(signal, next({ ...request, signal, message }));
      if (!response.stream) return response;
      return { ...response, message: guarded(response.message, signal, call) };
    } catch (error) {
      throw failCall(call, error, log);
    }
  };

  async function* guarded<T>(messages: AsyncIterable<T>, signal: AbortSignal, call: Call): AsyncIterable<T> {
    const iterator = messages[Symbol.asyncIterator]();
    try {
      for (;;) {
        const result = await until(signal, iterator.next());
        if (result.done === true) return;
        yield result.value;
      }
    } catch (error) {
      throw failCall(call, error, log);
    } finally {
      // Not awaited: a method that waits for something else ends only when that comes, or when it looks at its signal.
      iterator
        .return?.()
        ?.catch((error: unknown) => log.warn({ err: error }, "a stream did not end cleanly"));
    }
  }
}

function received(call: Call): Message {
  if (call.message === undefined) throw new Error("a call was let through without its message");
  return call.message;
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}

/** The promise's result, or the signal's reason if that comes first. */
function until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
