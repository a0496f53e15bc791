/**
 * The one way from an HTTP request to a service's method and back: match the path, judge the headers, learn who calls, receive
 * the message within its limit, run the method within its deadline, write the answer. Everything up to the method is done
 * here, the same for all protocols; dressing the answers is the RPC library's part (@connectrpc/connect).
 */

import { randomBytes } from "node:crypto";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextKey,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { concat, u8, u32, utf8 } from "../../crypto/bytes.ts";
import type { Logger } from "../../logger.ts";
import { type Caller, callerKey, type NodeLimits } from "../../services/context.ts";
import { fieldError, serviceError } from "../../services/errors.ts";
import type { Request, Response } from "../listener.ts";
import { type BodyMemory, discardBody, type HeldMemory } from "../request-body.ts";
import { respondError, respondMethodNotAllowed } from "../respond.ts";
import { type Call, callInterceptor, callKey, failCall, outcomeOf } from "./call.ts";
import { answerPreflight, exposeToAnyOrigin } from "./cors.ts";
import { deadlineOf, timeoutHeaderValue } from "./deadline.ts";
import { shuttingDown, transportError } from "./errors.ts";
import { headerOf, receiveMessage, receiveQueryMessage } from "./request-message.ts";
import { receiveMessages, STREAM_MESSAGE_MS } from "./request-stream.ts";
import { CONTENT_TYPES, carries, type MethodKind, type WireFormat, wireFormat } from "./wire-format.ts";

/** What a dispatcher needs. */
export interface RpcDispatcherOptions {
  /** Adds the services. */
  readonly register: (router: ConnectRouter) => void;
  /** Where methods live, such as "" and "/api"; in front of `/{package.Service}/{Method}`. */
  readonly prefixes: readonly string[];
  readonly limits: Pick<NodeLimits, "maxRequestBytes" | "maxAnonymousRequestBytes" | "defaultDeadlineMs">;
  /** Type names of the services whose callers may send large messages without a session. */
  readonly largeServices: ReadonlySet<string>;
  /** Memory for large requests. */
  readonly bodies: BodyMemory;
  /** How long a caller who sends a stream has for each message of it, in milliseconds; a minute by default. */
  readonly streamMessageMs?: number;
  /** Learns who calls, before the body is read. */
  readonly identify: (request: Request) => Promise<Caller>;
  /** Aborted when the node stops. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

/** Answers a request, unless its path is no call's: then it does nothing and returns false. */
export type RpcDispatcher = (request: Request, response: Response) => boolean;

/** A method, and how to reach it. */
interface Method {
  readonly name: string;
  readonly handler: UniversalHandler;
  readonly kind: MethodKind;
  readonly allowedMethods: readonly string[];
}

/** Does everything that comes before the method; throws what refuses the call. */
type Gate = (context: HandlerContext) => Promise<void>;

const gateKey: ContextKey<Gate> = createContextKey<Gate>(async () => {}, {
  description: "before the method",
});
// A path that can only be meant as a call: a package, a service, a method.
const CALL_PATH = /^\/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;
const EMPTY_JSON = utf8("{}");
const MAX_LOGGED_PATH = 100;

/** Makes the dispatcher of a node. */
export function createRpcDispatcher(options: RpcDispatcherOptions): RpcDispatcher {
  const { log, stopping, limits } = options;
  const router = createConnectRouter({
    // Messages are decompressed before the library sees them. Answers are never compressed: they hold secrets beside what
    // a caller chose, whose length would then tell about the secrets; and most of them are ciphertext.
    acceptCompression: [],
    requestGate: (context) => context.values.get(gateKey)(context),
    interceptors: [callInterceptor(stopping, log)],
  });
  options.register(router);
  const messageMs = options.streamMessageMs ?? STREAM_MESSAGE_MS;
  const methods = new Map(router.handlers.map((handler) => [handler.requestPath, methodOf(handler)]));

  return (request, response) => {
    const [path = "", query = ""] = split(request.url ?? "");
    const callPath = withoutPrefix(path, options.prefixes);
    if (callPath === undefined) return false;
    exposeToAnyOrigin(response);
    const method = methods.get(callPath);
    if (method === undefined) refuseUnknown(request, response, callPath);
    else dispatch(request, response, method, query);
    return true;
  };

  function dispatch(request: Request, response: Response, method: Method, query: string): void {
    const { allowedMethods } = method;
    if (request.method === "OPTIONS") {
      answerPreflight(response, allowedMethods);
      return;
    }
    if (!allowedMethods.includes(request.method ?? "")) {
      respondMethodNotAllowed(response, [...allowedMethods, "OPTIONS"]);
      return;
    }
    const parameters = request.method === "GET" ? new URLSearchParams(query) : undefined;
    const format = formatOf(request, parameters);
    if (format === undefined || !carries(format, method.kind)) {
      respondUnsupported(response);
      return;
    }
    run(request, response, method, format, (call, signal, memory) =>
      receive(call, request, format, method, parameters, signal, memory),
    );
  }

  /** A method that is not there is refused through one that is, so that the refusal is dressed as its caller expects. */
  function refuseUnknown(request: Request, response: Response, path: string): void {
    if (request.method === "OPTIONS") {
      answerPreflight(response, ["POST"]);
      return;
    }
    const format = request.method === "POST" ? formatOf(request, undefined) : undefined;
    const stand = format && [...methods.values()].find((method) => carries(format, method.kind));
    if (format === undefined || stand === undefined) {
      respondError(response, 404, "METHOD_UNKNOWN", "no such method");
      return;
    }
    const name = path.slice(1, MAX_LOGGED_PATH);
    run(request, response, { ...stand, name }, format, async () => {
      throw serviceError("METHOD_UNKNOWN", "this node has no such method: it may be older than its caller");
    });
  }

  /** Everything before a method: who calls, may they, what do they say. */
  async function receive(
    call: Call,
    request: Request,
    format: WireFormat,
    method: Method,
    parameters: URLSearchParams | undefined,
    signal: AbortSignal,
    memory: HeldMemory,
  ): Promise<void> {
    const caller = await options.identify(request);
    call.caller = caller;
    const schema = method.handler.method.input;
    const large =
      typeof caller.session === "object" || options.largeServices.has(method.handler.service.typeName);
    const maxBytes = large ? limits.maxRequestBytes : limits.maxAnonymousRequestBytes;
    if (sendsStream(method)) {
      const received = (bytes: number) => {
        call.bytesIn += bytes;
      };
      call.messages = (signal) =>
        receiveMessages(request, format, schema, { maxBytes, messageMs, signal, memory, received });
      return;
    }
    const received = await (parameters === undefined
      ? receiveMessage(request, format, schema, maxBytes, signal, memory)
      : receiveQueryMessage(parameters, schema, maxBytes));
    call.message = received.message;
    call.bytesIn = received.bytes;
  }

  /** Runs a call to its end, whatever that is, and logs it. */
  function run(
    request: Request,
    response: Response,
    method: Method,
    format: WireFormat,
    before: (call: Call, signal: AbortSignal, memory: HeldMemory) => Promise<void>,
  ): void {
    const call: Call = { requestId: randomBytes(8).toString("hex"), bytesIn: 0, bytesOut: 0 };
    const memory = options.bodies.open();
    const gone = new AbortController();
    const logEnd = callLog(call, method.name, format, request);
    response.once("close", () => {
      gone.abort(transportError("CANCELLED", "the caller went away"));
      memory.release();
      // A call that was under way learns of it in between.
      setImmediate(logEnd);
    });

    const header = new Headers({ "Content-Type": format.contentType });
    const deadline = deadlineOf(
      format,
      headerOf(request, format.timeoutHeader),
      method.kind,
      limits.defaultDeadlineMs,
    );
    if (typeof deadline === "number") header.set(format.timeoutHeader, timeoutHeaderValue(format, deadline));
    const gate: Gate = async (context) => {
      try {
        if (stopping.aborted) throw shuttingDown();
        if (deadline === "malformed")
          throw fieldError(format.timeoutHeader, "not a timeout of this protocol");
        await before(call, context.signal, memory);
        if (call.caller !== undefined) context.values.set(callerKey, call.caller);
      } catch (error) {
        discardBody(request, response);
        throw failCall(call, error, log);
      }
    };

    method
      .handler({
        httpVersion: request.httpVersion,
        method: "POST",
        url: `http://localhost/${method.name}`,
        header,
        body: createAsyncIterable([emptyMessage(format)]),
        signal: gone.signal,
        contextValues: createContextValues().set(callKey, call).set(gateKey, gate),
      })
      .then((answer) => {
        // A method may answer, or refuse, before its caller has sent the whole stream.
        if (method.kind === "client_streaming") discardBody(request, response);
        else if (method.kind === "bidi_streaming")
          response.once("finish", () => discardBody(request, response));
        return universalResponseToNodeResponse(counted(answer, call), response);
      })
      .catch((error: unknown) => {
        // The caller left in the middle of the answer, or the library failed. Neither can be answered any more.
        const left = response.destroyed || ConnectError.from(error).code === Code.Aborted;
        const fields = { requestId: call.requestId, err: error };
        if (left) log.debug(fields, "an answer could not be written");
        else log.error(fields, "an answer could not be made");
        response.destroy();
      });
  }

  /** Makes the function that writes a call's line in the log: never its token, nor what is in its messages. */
  function callLog(call: Call, method: string, format: WireFormat, request: Request): () => void {
    const started = performance.now();
    return () => {
      const fields = {
        requestId: call.requestId,
        method,
        protocol: format.protocol,
        http: request.httpVersion,
        ...outcomeOf(call),
        ms: Math.round(performance.now() - started),
        bytesIn: call.bytesIn,
        bytesOut: call.bytesOut,
        prefix: call.caller?.sourcePrefix,
        connection: call.caller?.connectionId,
      };
      log.info(fields, "call");
    };
  }
}

function sendsStream({ kind }: Method): boolean {
  return kind === "client_streaming" || kind === "bidi_streaming";
}

function methodOf(handler: UniversalHandler): Method {
  const { method, service } = handler;
  const name = `${service.typeName}/${method.name}`;
  const kind = method.methodKind;
  const safe = kind === "unary" && method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  return { name, handler, kind, allowedMethods: safe ? ["POST", "GET"] : ["POST"] };
}

function formatOf(request: Request, parameters: URLSearchParams | undefined): WireFormat | undefined {
  if (parameters === undefined) return wireFormat(request.headers["content-type"]);
  return wireFormat(parameters.get("encoding") === "proto" ? "application/proto" : "application/json");
}

function split(url: string): string[] {
  const at = url.indexOf("?");
  return at < 0 ? [url] : [url.slice(0, at), url.slice(at + 1)];
}

/** The part of a path that names a method, or undefined if it can name none. */
function withoutPrefix(path: string, prefixes: readonly string[]): string | undefined {
  for (const prefix of prefixes) {
    const rest = path.startsWith(prefix) ? path.slice(prefix.length) : "";
    if (CALL_PATH.test(rest)) return rest;
  }
  return undefined;
}

/** A message with no field set, which stands in the library's eyes for the one that was received already. */
function emptyMessage(format: WireFormat): Uint8Array<ArrayBuffer> {
  const message = format.json ? EMPTY_JSON : new Uint8Array(0);
  return format.enveloped ? concat(u8(0), u32(message.length), message) : message;
}

function respondUnsupported(response: Response): void {
  const types = CONTENT_TYPES.join(", ");
  const message = `this method takes no such content type: use one of ${types}`;
  respondError(response, 415, "CONTENT_TYPE_UNSUPPORTED", message, { "Accept-Post": types });
}

/** The answer, with its bytes counted as they go out. */
function counted(answer: UniversalServerResponse, call: Call): UniversalServerResponse {
  const { body } = answer;
  return body === undefined ? answer : { ...answer, body: counting(body, call) };
}

async function* counting(body: AsyncIterable<Uint8Array>, call: Call): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    call.bytesOut += chunk.length;
    yield chunk;
  }
}
