/**
 * The short road, for unary calls of all protocols: read the body, decode, call the method, encode, write once. Whatever a call
 * does not need is not made: no signals, no Fetch objects, no stream objects of HTTP/2's compatibility layer
 * (docs/decisions/030-short-road.md).
 */

import { Code, ConnectError } from "@connectrpc/connect";
import type { Caller } from "../../services/context.ts";
import type { EncodedAnswer } from "../../services/encoded-answer.ts";
import { fieldError, serviceError } from "../../services/errors.ts";
import { type Answer, byteLength, type Exchange, type HeaderList } from "../exchange.ts";
import { type BodySink, collectBody, type HeldMemory } from "../request-body.ts";
import { cacheHeaders, entityTags, isUnchanged, NOT_STORED } from "./caching.ts";
import { type Call, logCall, newRequestId } from "./call.ts";
import { acceptsGzip, compressAnswer, decompress, requireKnownEncoding } from "./compression.ts";
import { openQuery, requireVersion } from "./connect/request.ts";
import { streamRefusal } from "./connect/stream-refusal.ts";
import { deadlineOf } from "./deadline.ts";
import { ENVELOPE_HEADER_BYTES } from "./envelope.ts";
import { callError, shuttingDown, tooLarge, transportError } from "./errors.ts";
import { CallContext } from "./handler-context.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import type { UnaryMethod } from "./methods.ts";
import { maxMessageBytes, NOBODY, type RoadOptions } from "./options.ts";
import { headerOf } from "./request-header.ts";
import {
  type AnswerMessage,
  type AnswerMetadata,
  type PackedMessage,
  type UnaryProtocol,
  unaryProtocol,
} from "./unary-protocol.ts";
import type { WireFormat } from "./wire-format.ts";

/** What the short road is given. */
export interface ShortRoadOptions extends RoadOptions {
  /** Type names of the services whose answers are never compressed, for what they hold beside what callers choose. */
  readonly secretServices?: ReadonlySet<string>;
}

const NOTHING_SET: AnswerMetadata = {};
const NO_SERVICES: ReadonlySet<string> = new Set();

/**
 * Answers a call to a unary method.
 *
 * @param query of a GET, which has its message there; undefined for a POST.
 */
export function serveUnary(
  options: ShortRoadOptions,
  exchange: Exchange,
  method: UnaryMethod,
  format: WireFormat,
  query: URLSearchParams | undefined,
): void {
  void new UnaryCall(options, exchange, method.name, format).serve(method, query);
}

/** Refuses a call to a method that is not there, in the dress that its caller expects. */
export function refuseUnknownMethod(
  options: ShortRoadOptions,
  exchange: Exchange,
  name: string,
  format: WireFormat,
): void {
  new UnaryCall(options, exchange, name, format).refuseUnknown();
}

/** A body that is waited for. */
interface Receiving {
  readonly encoding: string | undefined;
  readonly maxBytes: number;
  readonly resolve: (message: PackedMessage) => void;
  readonly reject: (reason: unknown) => void;
}

/** A unary call from its first header to its end. It ends once, whatever comes first: answer, failure, deadline, caller gone. */
class UnaryCall implements Call, BodySink {
  readonly #options: ShortRoadOptions;
  readonly #exchange: Exchange;
  readonly #name: string;
  readonly #format: WireFormat;
  readonly #protocol: UnaryProtocol;
  readonly #started = performance.now();
  #requestId: string | undefined;
  #context: CallContext | undefined;
  #memory: HeldMemory | undefined;
  #timer: NodeJS.Timeout | undefined;
  #receiving: Receiving | undefined;
  #stopReading: (() => void) | undefined;
  #over = false;
  #isGet = false;
  #isUnknown = false;
  caller: Caller | undefined;
  bytesIn = 0;
  bytesOut = 0;
  error: ConnectError | undefined;

  constructor(options: ShortRoadOptions, exchange: Exchange, name: string, format: WireFormat) {
    this.#options = options;
    this.#exchange = exchange;
    this.#name = name;
    this.#format = format;
    this.#protocol = unaryProtocol(format);
    exchange.onEnd = () => this.#leave();
  }

  get requestId(): string {
    this.#requestId ??= newRequestId();
    return this.#requestId;
  }

  /** Never rejects. */
  async serve(method: UnaryMethod, query: URLSearchParams | undefined): Promise<void> {
    const { stopping, identify, registry } = this.#options;
    const { json } = this.#format;
    this.#isGet = query !== undefined;
    try {
      if (stopping.aborted) throw shuttingDown();
      const deadline = this.#startClock();
      if (this.#format.protocol === "connect") {
        requireVersion(headerOf(this.#exchange.headers, "connect-protocol-version"), query);
      }
      const identified = identify === undefined ? NOBODY : identify(this.#exchange);
      const caller = identified instanceof Promise ? await identified : identified;
      this.caller = caller;
      if (this.#over) return;

      const maxBytes = maxMessageBytes(this.#options, caller, method);
      const sent = query === undefined ? await this.#receive(maxBytes) : openQuery(query, maxBytes);
      if (query !== undefined) this.bytesIn = sent.data.length;
      const bytes = sent.compressed ? await decompress(sent.data, maxBytes) : sent.data;
      if (this.#over) return;
      const request = decodeMessage(method.desc.input, bytes, json, registry);

      const context = new CallContext(this.#exchange, method.desc, this.#format, caller, deadline);
      this.#context = context;
      if (method.encoded !== undefined) {
        const pending = method.encoded(request, context);
        const encoded = pending instanceof Promise ? await pending : pending;
        const gzip = this.#mayCompress(method) ? await encoded.gzip(json ? "json" : "proto") : undefined;
        this.#finish(this.#inBytes(encoded, gzip, context));
        return;
      }
      const message = await method.implementation(request, context);
      if (this.#over) return;
      const data = encodeMessage(method.desc.output, message, json, registry);
      const gzip = this.#mayCompress(method) ? await compressAnswer(data) : undefined;
      const answer = this.#protocol.answer(this.#format, packed(data, gzip, false), context);
      this.#finish(this.#isGet ? withHeaders(answer, NOT_STORED) : answer);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  refuseUnknown(): void {
    this.#isUnknown = true;
    this.#fail(
      serviceError("METHOD_UNKNOWN", "this node has no such method: it may be older than its caller"),
    );
  }

  /** Starts the clock of the call. Gives the time by which its caller wants it done, if it says so, since the epoch. */
  #startClock(): number | undefined {
    const { timeoutHeader } = this.#format;
    const header = headerOf(this.#exchange.headers, timeoutHeader);
    const ms = deadlineOf(this.#format, header, "unary", this.#options.limits.defaultDeadlineMs);
    if (ms === "malformed") throw fieldError(timeoutHeader, "not a timeout of this protocol");
    if (ms === undefined) return undefined;
    if (ms <= 0) throw timedOut();
    this.#timer = setTimeout(expire, ms, this);
    return header === undefined ? undefined : Date.now() + ms;
  }

  #receive(maxBytes: number): Promise<PackedMessage> {
    const { headers, body } = this.#exchange;
    const { encodingHeader, acceptEncodingHeader, enveloped } = this.#format;
    const encoding = headerOf(headers, encodingHeader);
    requireKnownEncoding(encoding, acceptEncodingHeader);
    const maxBodyBytes = maxBytes + (enveloped ? ENVELOPE_HEADER_BYTES : 0);
    return new Promise((resolve, reject) => {
      this.#receiving = { encoding, maxBytes, resolve, reject };
      this.#stopReading = collectBody(body, headers["content-length"], maxBodyBytes, this);
    });
  }

  holdBody(bytes: number): boolean {
    this.#memory ??= this.#options.bodies.open();
    return this.#memory.hold(bytes);
  }

  takeBody(body: Buffer): void {
    const receiving = this.#receiving;
    if (receiving === undefined) return;
    this.bytesIn = body.length;
    try {
      receiving.resolve(this.#protocol.openBody(body, receiving.encoding, receiving.maxBytes));
    } catch (error) {
      receiving.reject(error);
    }
  }

  refuseBody(): void {
    this.#receiving?.reject(tooLarge(this.#receiving.maxBytes));
  }

  failBody(error: ConnectError): void {
    this.#receiving?.reject(error);
  }

  /** The answer with bytes as they stand, or with what caches need to know that they have them. */
  #inBytes(encoded: EncodedAnswer, gzip: Uint8Array | undefined, context: CallContext): Answer {
    const encoding = this.#format.json ? "json" : "proto";
    const message = packed(encoded.bytes(encoding), gzip, true);
    if (!this.#isGet) return this.#protocol.answer(this.#format, message, context);
    const caching = cacheHeaders(encoded, encoding, gzip !== undefined);
    const tags = entityTags(encoded, encoding);
    if (isUnchanged(this.#exchange.headers["if-none-match"], tags)) return { status: 304, headers: caching };
    return withHeaders(this.#protocol.answer(this.#format, message, context), caching);
  }

  #mayCompress({ desc }: UnaryMethod): boolean {
    const { secretServices = NO_SERVICES } = this.#options;
    const accepted = headerOf(this.#exchange.headers, this.#format.acceptEncodingHeader);
    return acceptsGzip(accepted) && !secretServices.has(desc.parent.typeName);
  }

  /** Ends the call with a failure. What comes after its end only the log may want to know. */
  #fail(thrown: unknown): void {
    const { log, toCallError = callError } = this.#options;
    if (this.#over) {
      log.debug({ requestId: this.requestId, err: thrown }, "a call failed after its end");
      return;
    }
    const error = toCallError(thrown, this.requestId, log);
    this.error = error;
    this.#exchange.discardBody();
    this.#finish(this.#refusal(error));
  }

  #refusal(error: ConnectError): Answer {
    if (this.#format.protocol === "connect-stream") return streamRefusal(this.#format, error);
    const refusal = this.#protocol.refusal(this.#format, error, this.#context ?? NOTHING_SET);
    // Connect tells a path that is not there from a method that is not implemented by the status of HTTP.
    if (this.#isUnknown && this.#format.protocol === "connect") return { ...refusal, status: 404 };
    return this.#isGet ? withHeaders(refusal, NOT_STORED) : refusal;
  }

  #finish(answer: Answer): void {
    if (this.#over) return;
    this.#end();
    this.bytesOut = byteLength(answer.body);
    try {
      this.#exchange.respond(answer);
    } catch (error) {
      this.#options.log.error({ requestId: this.requestId, err: error }, "an answer could not be made");
      this.#exchange.giveUp();
    }
  }

  /** The exchange is over: the answer is out, or its caller gone before. */
  #leave(): void {
    if (!this.#over) {
      this.error = transportError("CANCELLED", "the caller went away");
      this.#end();
    }
    this.#memory?.release();
    const { log } = this.#options;
    logCall(log, this, this.#name, this.#format, this.#exchange, this.#started);
  }

  /** Ends all that goes on for the call. */
  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#stopReading?.();
    this.#context?.end(this.error);
  }

  /** Ends the call at its deadline, whether the method looks at its signal or not. */
  expire(): void {
    this.#fail(timedOut());
  }
}

function packed(data: Uint8Array | string, gzip: Uint8Array | undefined, kept: boolean): AnswerMessage {
  return { data: gzip ?? data, compressed: gzip !== undefined, kept };
}

function withHeaders(answer: Answer, headers: HeaderList): Answer {
  return { ...answer, headers: [...answer.headers, ...headers] };
}

function timedOut(): ConnectError {
  return new ConnectError("the operation timed out", Code.DeadlineExceeded);
}

function expire(call: UnaryCall): void {
  call.expire();
}
