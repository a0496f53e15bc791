/**
 * What a unary method is told of its call (Connect's HandlerContext). Most methods ask for little of it, so nothing is made
 * before it is asked for.
 */

import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { type Caller, callerKey } from "../../services/context.ts";
import type { Exchange } from "../exchange.ts";
import type { AnswerMetadata } from "./unary-protocol.ts";
import type { WireFormat } from "./wire-format.ts";

/** The context of one call. The signal fires when the call ends, however it does. */
export class CallContext implements HandlerContext, AnswerMetadata {
  readonly method: DescMethod;
  readonly #exchange: Exchange;
  readonly #caller: Caller;
  readonly #format: WireFormat;
  readonly #deadline: number | undefined;
  #values: ContextValues | undefined;
  #requestHeader: Headers | undefined;
  #controller: AbortController | undefined;
  #ended: { readonly reason: unknown } | undefined;
  /** What the method set, undefined where it asked for none. */
  header: Headers | undefined;
  trailer: Headers | undefined;

  /** @param deadline when the call ends at the latest, in milliseconds since the epoch, if the caller said so. */
  constructor(
    exchange: Exchange,
    method: DescMethod,
    format: WireFormat,
    caller: Caller,
    deadline: number | undefined,
  ) {
    this.#exchange = exchange;
    this.method = method;
    this.#format = format;
    this.#caller = caller;
    this.#deadline = deadline;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get protocolName(): string {
    return this.#format.protocol;
  }

  get requestMethod(): string {
    return this.#exchange.method;
  }

  get url(): string {
    return requestUrl(this.#exchange);
  }

  get timeoutMs(): () => number | undefined {
    return () => this.#deadline && this.#deadline - Date.now();
  }

  get values(): ContextValues {
    this.#values ??= createContextValues().set(callerKey, this.#caller);
    return this.#values;
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= requestHeaders(this.#exchange.headers);
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.header ??= new Headers();
    return this.header;
  }

  get responseTrailer(): Headers {
    this.trailer ??= new Headers();
    return this.trailer;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended.reason);
    }
    return this.#controller.signal;
  }

  /** Ends the call, for a reason if it failed. */
  end(reason?: unknown): void {
    this.#ended ??= { reason };
    this.#controller?.abort(reason);
  }
}

/** What a request is for, as a URL. */
export function requestUrl({ connection, authority, target }: Exchange): string {
  return `${connection.encrypted ? "https" : "http"}://${authority || "localhost"}${target}`;
}

/** Headers of a request as the Fetch standard has them, without HTTP/2's pseudo-headers. */
export function requestHeaders(headers: Exchange["headers"]): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) result.append(name, one);
  }
  return result;
}
