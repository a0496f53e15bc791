/**
 * From an HTTP request to a service's method: match the path, judge method and content type, and send unary calls down the
 * short road, streams down the long one. Both end in the same service implementations.
 */

import type { ConnectRouter } from "@connectrpc/connect";
import type { Exchange, HeaderList } from "../exchange.ts";
import { respondError, respondMethodNotAllowed } from "../respond.ts";
import { ANY_ORIGIN, answerPreflight } from "./cors.ts";
import { type LongRoadOptions, libraryOptions, serveStream } from "./long-road.ts";
import { type Method, registerMethods } from "./methods.ts";
import { refuseUnknownMethod, type ShortRoadOptions, serveUnary } from "./short-road.ts";
import { CONTENT_TYPES, carries, type WireFormat, wireFormat } from "./wire-format.ts";

/** What a dispatcher needs. */
export interface RpcDispatcherOptions extends ShortRoadOptions, LongRoadOptions {
  /** Adds the services. */
  readonly register: (router: ConnectRouter) => void;
  /** Where methods live, such as "" and "/api"; in front of `/{package.Service}/{Method}`. */
  readonly prefixes: readonly string[];
}

/** Answers a request, unless its path is no call's: then it does nothing and returns false. */
export type RpcDispatcher = (exchange: Exchange) => boolean;

// A path that can only be meant as a call: a package, a service, a method.
const CALL_PATH = /^\/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;
const MAX_LOGGED_PATH = 100;

/** Makes the dispatcher of a node. */
export function createRpcDispatcher(options: RpcDispatcherOptions): RpcDispatcher {
  const methods = new Map<string, Method>();
  for (const [path, method] of registerMethods(options.register, libraryOptions(options))) {
    for (const prefix of options.prefixes) methods.set(prefix + path, method);
  }
  const toAnyOrigin = extended(ANY_ORIGIN);

  return (exchange) => {
    const { target } = exchange;
    const queryAt = target.indexOf("?");
    const path = queryAt < 0 ? target : target.slice(0, queryAt);
    const method = methods.get(path);
    const unknown = method === undefined ? withoutPrefix(path, options.prefixes) : undefined;
    if (method === undefined && unknown === undefined) return false;
    // gRPC is for callers that read trailers, which no page can.
    const type = exchange.headers["content-type"];
    if (wireFormat(type)?.protocol !== "grpc") exchange.standing = toAnyOrigin(exchange.standing);
    if (method !== undefined) dispatch(exchange, method, queryAt < 0 ? "" : target.slice(queryAt + 1));
    else if (unknown !== undefined) refuseUnknown(exchange, unknown);
    return true;
  };

  function dispatch(exchange: Exchange, method: Method, queryText: string): void {
    const { allowedMethods } = method;
    if (exchange.method === "OPTIONS") {
      answerPreflight(exchange.messages().response, allowedMethods);
      return;
    }
    if (!allowedMethods.includes(exchange.method)) {
      respondMethodNotAllowed(exchange.messages().response, [...allowedMethods, "OPTIONS"]);
      return;
    }
    const query = exchange.method === "GET" ? new URLSearchParams(queryText) : undefined;
    const format = query === undefined ? wireFormat(exchange.headers["content-type"]) : formatOfQuery(query);
    if (format === undefined || !carries(format, method.kind)) refuseContentType(exchange);
    else if (method.kind === "unary") serveUnary(options, exchange, method, format, query);
    else serveStream(options, exchange, method, format);
  }

  function refuseUnknown(exchange: Exchange, path: string): void {
    if (exchange.method === "OPTIONS") {
      answerPreflight(exchange.messages().response, ["POST"]);
      return;
    }
    const format = exchange.method === "POST" ? wireFormat(exchange.headers["content-type"]) : undefined;
    if (format === undefined) {
      respondError(exchange.messages().response, 404, "METHOD_UNKNOWN", "no such method");
    } else {
      refuseUnknownMethod(options, exchange, path.slice(1, MAX_LOGGED_PATH), format);
    }
  }
}

/** Puts headers behind others, which are the same from request to request. */
function extended(more: HeaderList): (headers: HeaderList) => HeaderList {
  let before: HeaderList | undefined;
  let result: HeaderList = more;
  return (headers) => {
    if (headers !== before) {
      before = headers;
      result = [...headers, ...more];
    }
    return result;
  };
}

/** Of a GET, which names its encoding in the query. */
function formatOfQuery(query: URLSearchParams): WireFormat | undefined {
  const encoding = query.get("encoding");
  return encoding === "proto" || encoding === "json" ? wireFormat(`application/${encoding}`) : undefined;
}

/** The part of a path that names a method, or undefined if it can name none. */
function withoutPrefix(path: string, prefixes: readonly string[]): string | undefined {
  for (const prefix of prefixes) {
    const rest = path.startsWith(prefix) ? path.slice(prefix.length) : "";
    if (CALL_PATH.test(rest)) return rest;
  }
  return undefined;
}

function refuseContentType(exchange: Exchange): void {
  const types = CONTENT_TYPES.join(", ");
  const message = `this method takes no such content type or encoding: use one of ${types}`;
  const { response } = exchange.messages();
  respondError(response, 415, "CONTENT_TYPE_UNSUPPORTED", message, { "Accept-Post": types });
}
