/**
 * The long road, for methods with a stream: who calls, whether they may, and what they say is dealt with here, message by
 * message; the rest, with dressing the answers, is the RPC library's part (@connectrpc/connect).
 */

import type { Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouterOptions,
  type ContextKey,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { createAsyncIterable, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { utf8 } from "../../crypto/bytes.ts";
import type { Logger } from "../../logger.ts";
import { type Caller, callerKey } from "../../services/context.ts";
import { fieldError } from "../../services/errors.ts";
import type { Exchange } from "../exchange.ts";
import { discardBody } from "../request-body.ts";
import { respondError } from "../respond.ts";
import { type Call, logCall, newRequestId } from "./call.ts";
import { deadlineOf, timeoutHeaderValue } from "./deadline.ts";
import { envelopes } from "./envelope.ts";
import { callError, shuttingDown, transportError } from "./errors.ts";
import { requestHeaders, requestUrl } from "./handler-context.ts";
import type { StreamMethod } from "./methods.ts";
import { maxMessageBytes, NOBODY, type RoadOptions } from "./options.ts";
import { headerOf } from "./request-header.ts";
import { receiveMessage } from "./request-message.ts";
import { receiveMessages, STREAM_MESSAGE_MS } from "./request-stream.ts";
import type { WireFormat } from "./wire-format.ts";

/** What the long road is given. */
export interface LongRoadOptions extends RoadOptions {
  /** How long a caller who sends a stream has for each message of it, in milliseconds; a minute by default. */
  readonly streamMessageMs?: number;
}

/** A call that is under way on the long road. */
interface StreamCall extends Call {
  caller?: Caller;
  /** The decoded request message, once it was received. */
  message?: Message;
  /** Where the caller sends a stream: receives its messages, until the signal ends that. */
  messages?: (signal: AbortSignal) => AsyncIterable<Message>;
  bytesIn: number;
  bytesOut: number;
  error?: ConnectError;
  /** Notes that the call failed, and gives the error that its caller may see. */
  readonly fail: (thrown: unknown) => ConnectError;
}

/** Does everything that comes before the method; throws what refuses the call. */
type Gate = (context: HandlerContext) => Promise<void>;

const callKey: ContextKey<StreamCall | undefined> = createContextKey<StreamCall | undefined>(undefined, {
  description: "the call under way",
});
const gateKey: ContextKey<Gate> = createContextKey<Gate>(async () => {}, {
  description: "before the method",
});
const EMPTY_JSON = utf8("{}");
const EMPTY_BINARY = new Uint8Array(0);
// They describe a body which the library does not get to see.
const BODY_HEADERS = ["content-length", "content-encoding", "connect-content-encoding", "grpc-encoding"];

/** How the RPC library is set up for the long road. */
export function libraryOptions({ stopping, registry, log }: LongRoadOptions): ConnectRouterOptions {
  return {
    // Messages are decompressed before the library sees them. Streams are never compressed on their way out.
    acceptCompression: [],
    requestGate: (context) => context.values.get(gateKey)(context),
    interceptors: [callInterceptor(stopping, log)],
    ...(registry && { jsonOptions: { registry } }),
  };
}

/** Answers a call to a method with a stream. */
export function serveStream(
  options: LongRoadOptions,
  exchange: Exchange,
  method: StreamMethod,
  format: WireFormat,
): void {
  const { log, stopping, limits, registry, identify, toCallError = callError } = options;
  const { request, response } = exchange.messages();
  if (method.kind === "bidi_streaming" && request.httpVersionMajor < 2) {
    discardBody(request, response);
    respondError(response, 505, "HTTP_VERSION_UNSUPPORTED", "streams both ways need HTTP/2", {
      Connection: "close",
    });
    return;
  }
  const started = performance.now();
  const requestId = newRequestId();
  const call: StreamCall = {
    requestId,
    bytesIn: 0,
    bytesOut: 0,
    fail(thrown) {
      call.error = toCallError(thrown, requestId, log);
      return call.error;
    },
  };
  const memory = options.bodies.open();
  const gone = new AbortController();
  exchange.onEnd = () => {
    gone.abort(transportError("CANCELLED", "the caller went away"));
    memory.release();
    // A call that was under way learns of it in between.
    setImmediate(() => logCall(log, call, method.name, format, exchange, started));
  };

  const header = requestHeaders(request.headers);
  for (const name of BODY_HEADERS) header.delete(name);
  header.set("content-type", format.contentType);
  const asked = headerOf(request.headers, format.timeoutHeader);
  const deadline = deadlineOf(format, asked, method.kind, limits.defaultDeadlineMs);
  header.delete(format.timeoutHeader);
  if (typeof deadline === "number") header.set(format.timeoutHeader, timeoutHeaderValue(format, deadline));

  const gate: Gate = async (context) => {
    try {
      if (stopping.aborted) throw shuttingDown();
      if (deadline === "malformed") throw fieldError(format.timeoutHeader, "not a timeout of this protocol");
      const caller = identify === undefined ? NOBODY : await identify(exchange);
      call.caller = caller;
      context.values.set(callerKey, caller);
      await receive(caller, context.signal);
    } catch (error) {
      discardBody(request, response);
      throw call.fail(error);
    }
  };

  method
    .handler({
      httpVersion: request.httpVersion,
      method: "POST",
      url: requestUrl(exchange),
      header,
      body: createAsyncIterable([emptyMessage(format)]),
      signal: gone.signal,
      contextValues: createContextValues().set(callKey, call).set(gateKey, gate),
    })
    .then((answer) => {
      // A method may answer, or refuse, before its caller has sent the whole stream.
      if (method.kind !== "server_streaming") discardBody(request, response);
      return universalResponseToNodeResponse(counted(answer, call), response);
    })
    .catch((error: unknown) => {
      // The caller left in the middle of the answer, or the library failed. Neither can be answered any more.
      const left = response.destroyed || ConnectError.from(error).code === Code.Aborted;
      const fields = { requestId, err: error };
      if (left) log.debug(fields, "an answer could not be written");
      else log.error(fields, "an answer could not be made");
      response.destroy();
    });

  /** Receives the one message, or gets ready to receive the stream. */
  async function receive(caller: Caller, signal: AbortSignal): Promise<void> {
    const { input } = method.desc;
    const maxBytes = maxMessageBytes(options, caller, method);
    const messageMs = options.streamMessageMs ?? STREAM_MESSAGE_MS;
    const received = (bytes: number) => {
      call.bytesIn += bytes;
    };
    if (method.kind === "server_streaming") {
      const one = await receiveMessage(request, format, input, { maxBytes, signal, memory, registry });
      received(one.bytes);
      call.message = one.message;
    } else {
      call.messages = (signal) =>
        receiveMessages(request, format, input, { maxBytes, messageMs, signal, memory, registry, received });
    }
  }
}

/**
 * The interceptor that stands around every method with a stream: lends the library the messages that are received beside it,
 * keeps the call within its signals, and lets no error out untranslated.
 *
 * @param stopping aborted when the node stops: streams one way then end.
 */
function callInterceptor(stopping: AbortSignal, log: Logger): Interceptor {
  return (next) => async (request) => {
    const call = request.contextValues.get(callKey);
    if (call === undefined || !request.stream) throw new Error("not a call of the long road");
    try {
      // A method with streams both ways decides itself what it still takes and answers when the node stops.
      const signal =
        request.method.methodKind === "bidi_streaming"
          ? request.signal
          : AbortSignal.any([request.signal, stopping]);
      const message = call.messages?.(signal) ?? once(received(call));
      const response = await until(signal, next({ ...request, signal, message }));
      if (!response.stream) return response;
      return { ...response, message: guarded(response.message, signal, call) };
    } catch (error) {
      throw call.fail(error);
    }
  };

  async function* guarded<T>(
    messages: AsyncIterable<T>,
    signal: AbortSignal,
    call: StreamCall,
  ): AsyncIterable<T> {
    const iterator = messages[Symbol.asyncIterator]();
    try {
      for (;;) {
        const result = await until(signal, iterator.next());
        if (result.done === true) return;
        yield result.value;
      }
    } catch (error) {
      throw call.fail(error);
    } finally {
      // Not awaited: a method that waits for something else ends only when that comes, or when it looks at its signal.
      iterator
        .return?.()
        ?.catch((error: unknown) => log.warn({ err: error }, "a stream did not end cleanly"));
    }
  }
}

function received(call: StreamCall): Message {
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

/** A message with no field set, which stands in the library's eyes for the one that was received already. */
function emptyMessage(format: WireFormat): Uint8Array<ArrayBuffer> {
  return new Uint8Array(envelopes([0, format.json ? EMPTY_JSON : EMPTY_BINARY]));
}

/** The answer, with its bytes counted as they go out. */
function counted(answer: UniversalServerResponse, call: StreamCall): UniversalServerResponse {
  const { body } = answer;
  return body === undefined ? answer : { ...answer, body: counting(body, call) };
}

async function* counting(body: AsyncIterable<Uint8Array>, call: StreamCall): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    call.bytesOut += chunk.length;
    yield chunk;
  }
}
