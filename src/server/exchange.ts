/**
 * A request and the one answer to it, the same over HTTP/1.1 and HTTP/2. An answer that is known as a whole goes out by
 * `respond`, which for HTTP/2 writes to the stream itself. Node's request and response objects, which HTTP/2 would have to
 * imitate for every request, are made only for those who ask for them: streams, and what is no call.
 */

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders as IncomingHttp2Headers,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { discardHttp1Body, discardHttp2Body } from "./request-body.ts";

/** A request of either version, as Node gives it. */
export type Request = IncomingMessage | Http2ServerRequest;
/** A response of either version, as Node gives it. */
export type Response = ServerResponse | Http2ServerResponse;

/** Names, in lower case, and values of headers in turn. */
export type HeaderList = readonly string[];

/** An answer that is known as a whole. */
export interface Answer {
  /** 200 to 599. */
  readonly status: number;
  readonly headers: HeaderList;
  /** Text goes out as UTF-8. Over HTTP/1.1 it costs less than bytes: head and body are one write. */
  readonly body?: Uint8Array | string | undefined;
  /** Headers behind the body (RFC 9110 §6.5). */
  readonly trailers?: OutgoingHttpHeaders | undefined;
}

/** A connection, which HTTP/2's streams share. */
export interface Connection {
  /** Tells connections of this process apart. */
  readonly id: string;
  /** IP address of the peer, undefined if it left before that was known. */
  readonly remoteAddress: string | undefined;
  readonly encrypted: boolean;
}

/** A request that came in, and its answer. */
export interface Exchange {
  /** "1.0", "1.1" or "2.0". */
  readonly httpVersion: string;
  readonly method: string;
  /** Path and query (RFC 9112 §3.2). */
  readonly target: string;
  /** Host and port that the request names, "" if none. */
  readonly authority: string;
  readonly headers: IncomingHttpHeaders;
  readonly connection: Connection;
  /** The body as it comes. Nobody else may read it once `messages` was called. */
  readonly body: Readable;
  /** Headers that go out with whatever answers the request, beside the answer's own. */
  standing: HeaderList;
  /** Called once: when the answer is out, when the caller is gone. */
  onEnd: () => void;
  /** True once the answer is complete, whether its caller took it or not. */
  readonly answered: boolean;
  /** True once there is nobody to answer to. */
  readonly ended: boolean;
  /** Answers. Does nothing when the caller is gone. @throws what Node throws about headers that HTTP does not have. */
  respond(answer: Answer): void;
  /** Deals with what is still to come of a body that nobody wants; to be called before the answer. */
  discardBody(): void;
  /** Node's objects for the same request, in place of all the above but `onEnd` and `ended`. */
  messages(): { readonly request: Request; readonly response: Response };
  /** Gives up an answer: ends the stream (HTTP/2, RFC 9113 §7) or the connection (HTTP/1.1). */
  giveUp(): void;
  /** Lets the connection end with this answer. HTTP/2 has no such header: its sessions are told to go away. */
  endConnection(): void;
}

const NO_HEADERS: HeaderList = [];
const WITH_TRAILERS = { waitForTrailers: true };
const WITHOUT_BODY = { endStream: true };
const BODILESS = new Set([204, 304]);

/** The exchange of an HTTP/1.1 request. */
export class Http1Exchange implements Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly connection: Connection;
  standing: HeaderList = NO_HEADERS;
  onEnd: () => void = nothing;
  ended = false;

  /** @param ended called once, before `onEnd`. */
  constructor(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    ended: (exchange: Exchange) => void,
  ) {
    this.connection = connection;
    this.#request = request;
    this.#response = response;
    // A broken connection is seen by its close; the events must only not go unheard.
    request.on("error", nothing);
    response.on("error", nothing);
    response.on("close", () => {
      this.ended = true;
      ended(this);
      this.onEnd();
    });
  }

  get httpVersion(): string {
    return this.#request.httpVersion;
  }
  get method(): string {
    return this.#request.method ?? "";
  }
  get target(): string {
    return this.#request.url ?? "";
  }
  get authority(): string {
    return this.headers.host ?? "";
  }
  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }
  get body(): Readable {
    return this.#request;
  }
  get answered(): boolean {
    return this.#response.writableEnded;
  }

  respond({ status, headers, body, trailers }: Answer): void {
    const response = this.#response;
    if (response.destroyed) return;
    const all = [...this.standing, ...headers];
    if (trailers !== undefined) {
      // Without a length the body goes out in chunks, behind which trailers have a place (RFC 9112 §7.1.2).
      response.writeHead(status, all);
      response.addTrailers(trailers as Record<string, string>);
    } else {
      if (!BODILESS.has(status)) all.push("content-length", String(byteLength(body)));
      response.writeHead(status, all);
    }
    response.end(body);
  }

  discardBody(): void {
    discardHttp1Body(this.#request, this.#response);
  }

  messages(): { request: Request; response: Response } {
    setStanding(this.#response, this.standing);
    return { request: this.#request, response: this.#response };
  }

  giveUp(): void {
    this.#response.destroy();
  }

  endConnection(): void {
    if (!this.#response.headersSent) this.#response.setHeader("Connection", "close");
  }
}

/** The exchange of an HTTP/2 stream, whose errors somebody hears. */
export class Http2Exchange implements Exchange {
  readonly httpVersion = "2.0";
  readonly #stream: ServerHttp2Stream;
  readonly #rawHeaders: string[];
  #response: Http2ServerResponse | undefined;
  #answered = false;
  readonly headers: IncomingHttp2Headers;
  readonly connection: Connection;
  standing: HeaderList = NO_HEADERS;
  onEnd: () => void = nothing;
  ended = false;

  /** @param ended called once, before `onEnd`; `reset` if the stream ended by a reset with an error. */
  constructor(
    connection: Connection,
    stream: ServerHttp2Stream,
    headers: IncomingHttp2Headers,
    rawHeaders: string[],
    ended: (exchange: Exchange, reset: boolean) => void,
  ) {
    this.connection = connection;
    this.#stream = stream;
    this.headers = headers;
    this.#rawHeaders = rawHeaders;
    stream.on("close", () => {
      this.ended = true;
      ended(this, stream.rstCode !== constants.NGHTTP2_NO_ERROR);
      this.onEnd();
      // Node keeps a stream that is over for a while. It need not keep all of the call with it.
      if (this.#response === undefined) stream.removeAllListeners();
    });
  }

  get method(): string {
    return this.headers[":method"] ?? "";
  }
  get target(): string {
    return this.headers[":path"] ?? "";
  }
  get authority(): string {
    return this.headers[":authority"] ?? this.headers.host ?? "";
  }
  get body(): Readable {
    return this.#stream;
  }
  get answered(): boolean {
    return this.#answered || this.#response?.writableEnded === true;
  }

  respond({ status, headers, body, trailers }: Answer): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    this.#answered = true;
    const all = [":status", String(status), ...this.standing, ...headers];
    if (trailers !== undefined) {
      stream.on("wantTrailers", () => {
        if (!stream.destroyed && !stream.closed) stream.sendTrailers(trailers);
      });
      stream.respond(all, WITH_TRAILERS);
      stream.end(body);
    } else if (body === undefined) {
      stream.respond(all, WITHOUT_BODY);
    } else {
      stream.respond(all);
      stream.end(body);
    }
  }

  discardBody(): void {
    const stream = this.#stream;
    if (stream.readableEnded) return;
    discardHttp2Body(stream, stream);
  }

  messages(): { request: Request; response: Response } {
    const request = new Http2ServerRequest(this.#stream, this.headers, {}, this.#rawHeaders);
    const response = new Http2ServerResponse(this.#stream);
    request.on("error", nothing);
    response.on("error", nothing);
    setStanding(response, this.standing);
    this.#response = response;
    return { request, response };
  }

  giveUp(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  endConnection(): void {}
}

let connectionCount = 0;

/** A new connection over a socket. */
export function newConnection(socket: Socket): Connection {
  connectionCount += 1;
  return {
    id: `c${connectionCount}`,
    remoteAddress: socket.remoteAddress,
    encrypted: "encrypted" in socket && socket.encrypted === true,
  };
}

function setStanding(response: Response, headers: HeaderList): void {
  for (let at = 0; at < headers.length; at += 2) response.setHeader(headers[at] ?? "", headers[at + 1] ?? "");
}

/** Length of a body in bytes. */
export function byteLength(body: Answer["body"]): number {
  return typeof body === "string" ? Buffer.byteLength(body) : (body?.length ?? 0);
}

function nothing(): void {}
