/**
 * `POST {apiUrl}/blake3` (docs/protocol.md, section 8): BLAKE3 of a text, for whoever has an HTTP client and nothing else.
 * Open to everyone and to pages of any origin, within the budget of the caller's source prefix.
 */

import { randomBytes } from "node:crypto";
import type { ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { fromUtf8, toHex, utf8 } from "../crypto/index.ts";
import type { Logger } from "../logger.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Caller, NodeLimits } from "../services/context.ts";
import { fieldError, reasonOf, serviceError } from "../services/errors.ts";
import type { Exchange, Request, Response } from "./exchange.ts";
import type { Route } from "./http.ts";
import { type BodyMemory, callerGone, discardBody, readBody } from "./request-body.ts";
import { respondError, respondJson, respondMethodNotAllowed } from "./respond.ts";
import { answerPreflight, exposeToAnyOrigin } from "./rpc/cors.ts";
import { callError, malformedMessage, shuttingDown } from "./rpc/errors.ts";

/** Where the endpoint lives, behind the path of the API URL. */
export const BLAKE3_PATH = "/blake3";

/** What the endpoint needs. */
export interface Blake3EndpointOptions {
  readonly limits: Pick<NodeLimits, "maxAnonymousRequestBytes" | "defaultDeadlineMs">;
  readonly bodies: BodyMemory;
  /** Learns who calls. */
  readonly identify: (exchange: Exchange) => Caller | Promise<Caller>;
  /** Takes what a hash costs from the caller's budget; throws RATE_LIMITED. */
  readonly spend: (caller: Caller) => Promise<void>;
  /** The 32-byte hash. */
  readonly hash: (data: Uint8Array) => Promise<Uint8Array>;
  /** Aborted when the node stops. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

const METHODS = ["POST"];
const MEDIA_TYPE = "application/json";
const STATUS: Readonly<Partial<Record<Reason, number>>> = {
  FIELD_INVALID: 400,
  MESSAGE_INVALID: 400,
  DEADLINE_EXCEEDED: 408,
  MESSAGE_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  DATABASE_UNAVAILABLE: 503,
  SHUTTING_DOWN: 503,
};

/** Makes the endpoint. Its promise never rejects. */
export function createBlake3Endpoint(options: Blake3EndpointOptions): Route {
  const { log, limits } = options;

  return async (request, response, exchange) => {
    exposeToAnyOrigin(response);
    if (request.method === "OPTIONS") {
      answerPreflight(response, METHODS);
      return;
    }
    if (request.method !== "POST") {
      respondMethodNotAllowed(response, [...METHODS, "OPTIONS"]);
      return;
    }
    const refused = unsupported(request);
    if (refused !== undefined) {
      const { message, headers } = refused;
      discardBody(request, response);
      respondError(response, 415, "CONTENT_TYPE_UNSUPPORTED", message, headers);
      return;
    }
    const started = performance.now();
    const requestId = randomBytes(8).toString("hex");
    let prefix: string | undefined;
    let reason: string | undefined;
    try {
      if (options.stopping.aborted) throw shuttingDown();
      const caller = await options.identify(exchange);
      prefix = caller.sourcePrefix;
      await options.spend(caller);
      const hash = await options.hash(textOf(await receive(request, response)));
      respondJson(response, 200, { hash: toHex(hash) });
    } catch (thrown) {
      const error = callError(thrown, requestId, log);
      reason = reasonOf(error);
      discardBody(request, response);
      respondFailure(response, error);
    }
    const ms = Math.round(performance.now() - started);
    log.info({ requestId, method: "POST /blake3", http: request.httpVersion, reason, ms, prefix }, "call");
  };

  /** The body, within its limit and its time. */
  async function receive(request: Request, response: Response): Promise<Uint8Array> {
    const maxBytes = limits.maxAnonymousRequestBytes;
    const memory = options.bodies.open();
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(tooSlow()), limits.defaultDeadlineMs);
    const gone = () => ending.abort(callerGone());
    response.once("close", gone);
    try {
      return await readBody(request, maxBytes, () => tooLarge(maxBytes), ending.signal, memory);
    } finally {
      clearTimeout(timer);
      response.off("close", gone);
      memory.release();
    }
  }
}

/** Why the header alone rules a request out. */
function unsupported({
  headers,
}: Request): { readonly message: string; readonly headers: Readonly<Record<string, string>> } | undefined {
  const [mediaType = ""] = (headers["content-type"] ?? "").split(";", 1);
  if (mediaType.trim().toLowerCase() !== MEDIA_TYPE) {
    return { message: `the content type must be ${MEDIA_TYPE}`, headers: { "Accept-Post": MEDIA_TYPE } };
  }
  if ((headers["content-encoding"] ?? "identity") !== "identity") {
    return { message: "the body must not be compressed", headers: { "Accept-Encoding": "identity" } };
  }
  return undefined;
}

/** UTF-8 of the text in a body. What the decoders say can quote the body, so their words stay here. */
function textOf(body: Uint8Array): Uint8Array {
  const json = attempt(() => fromUtf8(body));
  if (json === undefined) throw malformedMessage("the body is not valid UTF-8");
  const value: unknown = attempt(() => JSON.parse(json));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformedMessage('the body must be a JSON object such as {"data":"text"}');
  }
  if (!Object.hasOwn(value, "data")) throw fieldError("data", "is missing");
  const { data } = value as { readonly data: unknown };
  if (typeof data !== "string") throw fieldError("data", "must be a string");
  if (!data.isWellFormed()) throw fieldError("data", "holds a lone surrogate, which has no UTF-8");
  return utf8(data);
}

function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

function respondFailure(response: Response, error: ConnectError): void {
  const reason = (reasonOf(error) ?? "INTERNAL") as Reason;
  const [retry] = error.findDetails(RetryInfoSchema);
  const { seconds = 0n, nanos = 0 } = retry?.retryDelay ?? {};
  // Whole seconds (RFC 9110 §10.2.3), rounded up so that coming back then is not too early.
  const headers = retry && { "Retry-After": String(Number(seconds) + (nanos > 0 ? 1 : 0)) };
  respondError(response, STATUS[reason] ?? 500, reason, error.rawMessage, headers);
}

function tooSlow(): ConnectError {
  return serviceError("DEADLINE_EXCEEDED", "the body did not come in time");
}

function tooLarge(maxBytes: number): ConnectError {
  return serviceError("MESSAGE_TOO_LARGE", `the body is larger than ${maxBytes} bytes`);
}
