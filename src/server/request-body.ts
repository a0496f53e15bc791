/**
 * The body of a request as it comes in: read whole or chunk by chunk, within limits of size and of memory that all requests
 * share, and got rid of where nobody wants it.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { ConnectError } from "@connectrpc/connect";
import { serviceError } from "../services/errors.ts";
import type { Request, Response } from "./exchange.ts";
import { transportError } from "./rpc/errors.ts";

/** The part of the shared memory that one request has. */
export interface HeldMemory {
  /** Asks for so many more bytes; false if this node holds too much of other bodies at the moment. */
  hold(bytes: number): boolean;
  /** Gives back everything. */
  release(): void;
}

/** Memory for the large bodies of all requests together. */
export interface BodyMemory {
  /** Begins a request, which has nothing yet. */
  open(): HeldMemory;
}

/**
 * The chunks of a body. What nobody asks for stays with its sender, by the flow control of HTTP/2 or TCP, but for a little
 * that is read ahead.
 */
export interface BodyChunks {
  /**
   * The next chunk, undefined at the end of the body.
   *
   * @throws ConnectError CANCELLED when the caller went away, or the signal's reason.
   */
  next(): Promise<Buffer | undefined>;
  /** Leaves the rest of the body as it is. */
  close(): void;
}

// What any body may take without asking, so that small calls go on while somebody floods the node with large ones.
const FREE_BODY_BYTES = 64 * 1024;
// What is left of a refused body is read and dropped, up to this.
const MAX_DISCARDED_BYTES = 16 * 1024 * 1024;
// Stopping and starting at each chunk would cost more than reading it.
const READ_AHEAD_BYTES = 64 * 1024;
// What a chunk takes beside its bytes, about.
const CHUNK_OVERHEAD_BYTES = 256;
const BUSY_RETRY_MS = 1_000;
const ANSWER_CHECK_MS = 5;
const NO_BYTES = Buffer.alloc(0);

/**
 * Bytes that come in chunks and are taken in pieces of other lengths. They are in one buffer that grows by doubling: a list of
 * chunks would take a hundred times the memory of the bytes, for a caller who sends them one by one. A single chunk stays where
 * it is.
 */
export class ByteQueue {
  #buffer: Buffer = NO_BYTES;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  push(chunk: Buffer): void {
    const { length } = this;
    if (length === 0) {
      this.#buffer = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    if (this.#end + chunk.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (length + chunk.length));
      larger.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = larger;
      this.#start = 0;
      this.#end = length;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Takes so many bytes, which have to be there. */
  take(length: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + length);
    this.#start += length;
    return taken;
  }
}

/** Makes the memory that requests share. */
export function createBodyMemory(maxBytes: number): BodyMemory {
  let heldBytes = 0;
  return {
    open() {
      let own = 0;
      return {
        hold(bytes) {
          if (heldBytes + bytes > maxBytes) return false;
          heldBytes += bytes;
          own += bytes;
          return true;
        },
        release() {
          heldBytes -= own;
          own = 0;
        },
      };
    },
  };
}

/** Takes memory for a chunk of something that is `length` bytes long with it. What is short needs none. */
export function holdChunk(memory: HeldMemory, chunk: Buffer, length: number): boolean {
  return length <= FREE_BODY_BYTES || memory.hold(chunk.length);
}

/** RESOURCE_EXHAUSTED, because other bodies have the memory. */
export function overloaded(): ConnectError {
  const message = "this node receives too many large messages at the moment: try again";
  return serviceError("RATE_LIMITED", message, { retryAfterMs: BUSY_RETRY_MS });
}

/** CANCELLED, which nobody is there to read. */
export function callerGone(): ConnectError {
  return transportError("CANCELLED", "the caller went away");
}

/** Who waits for a whole body. One of the last three is called, once. */
export interface BodySink {
  /** Asked for memory while a large body comes in. */
  holdBody(bytes: number): boolean;
  /** The body is complete. */
  takeBody(body: Buffer): void;
  /** The body is above its limit. */
  refuseBody(): void;
  /** Other bodies have the memory, or the caller went away. */
  failBody(error: ConnectError): void;
}

/**
 * Collects a whole body for a sink. That a connection broke, the sink has to see by its close.
 *
 * @param declaredLength value of the Content-Length header.
 * @returns a function that gives up: nothing is called any more.
 */
export function collectBody(
  body: Readable,
  declaredLength: string | undefined,
  maxBytes: number,
  sink: BodySink,
): () => void {
  const received = new ByteQueue();
  let settled = false;
  const end = () => {
    if (settled) return;
    settled = true;
    // An HTTP/2 stream that was reset ends like one that is complete.
    if ("aborted" in body && body.aborted === true) sink.failBody(callerGone());
    else sink.takeBody(received.take(received.length));
  };
  const take = (chunk: Buffer) => {
    if (settled) return;
    received.push(chunk);
    const { length } = received;
    if (length > maxBytes) {
      settled = true;
      sink.refuseBody();
    } else if (length > FREE_BODY_BYTES && !sink.holdBody(chunk.length)) {
      settled = true;
      sink.failBody(overloaded());
    }
  };
  if (declaredLength !== undefined && Number(declaredLength) > maxBytes) {
    settled = true;
    sink.refuseBody();
  } else if (body.readableEnded) {
    end();
  } else {
    // They stay until the request is over: to take them off costs more than to be called in vain.
    body.on("data", take);
    body.on("end", end);
  }
  return () => {
    settled = true;
  };
}

/**
 * Reads a whole body.
 *
 * @param maxBodyBytes limit of the body, which is refused with `tooLarge` beyond it.
 * @param signal ends the wait, also when the caller goes away; its reason is thrown.
 * @throws ConnectError CANCELLED when the caller went away, RATE_LIMITED when other bodies have the memory.
 */
export function readBody(
  request: Request,
  maxBodyBytes: number,
  tooLarge: () => ConnectError,
  signal: AbortSignal,
  memory: HeldMemory,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settled = () => signal.removeEventListener("abort", abort);
    const refused = (error: ConnectError) => {
      settled();
      reject(error);
    };
    const stop = collectBody(request, request.headers["content-length"], maxBodyBytes, {
      holdBody: (bytes) => memory.hold(bytes),
      takeBody(body) {
        settled();
        resolve(body);
      },
      refuseBody: () => refused(tooLarge()),
      failBody: refused,
    });
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();

    function abort(): void {
      stop();
      reject(signal.reason);
    }
  });
}

/** Begins to read a body chunk by chunk. `signal` ends a wait for the next one. */
export function bodyChunks(request: Request, signal: AbortSignal): BodyChunks {
  const ready: Buffer[] = [];
  let ended = request.readableEnded;
  let failure: { readonly reason: unknown } | undefined;
  let wake = () => {};
  let readyBytes = 0;
  const take = (chunk: Buffer) => {
    ready.push(chunk);
    readyBytes += chunk.length + CHUNK_OVERHEAD_BYTES;
    if (readyBytes >= READ_AHEAD_BYTES) request.pause();
    wake();
  };
  const end = () => {
    // An HTTP/2 stream that was reset ends like one that is complete.
    if (request.aborted) return gone();
    ended = true;
    wake();
  };
  const gone = () => {
    failure ??= { reason: callerGone() };
    wake();
  };
  const abort = () => {
    failure ??= { reason: signal.reason };
    wake();
  };
  // A broken connection can report itself after the wait for it is over.
  request.on("error", () => {});
  request.on("data", take);
  request.on("end", end);
  request.on("error", gone);
  signal.addEventListener("abort", abort);
  request.pause();
  if (signal.aborted) abort();

  return {
    async next() {
      if (ready.length === 0 && !ended && failure === undefined) {
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (request.isPaused()) request.resume();
        await woken;
      }
      if (failure !== undefined) throw failure.reason;
      const chunk = ready.shift();
      if (chunk !== undefined) readyBytes -= chunk.length + CHUNK_OVERHEAD_BYTES;
      return chunk;
    },
    close() {
      request.off("data", take);
      request.off("end", end);
      request.off("error", gone);
      signal.removeEventListener("abort", abort);
    },
  };
}

/**
 * Deals with what is still to come of a body that nobody wants. A caller who writes all before reading gets to read the
 * answer, if what is left is of a sensible size; beyond that the connection ends (HTTP/1.1), or the stream (HTTP/2).
 */
export function discardBody(request: Request, response: Response): void {
  if (request.complete) return;
  if ("stream" in request) {
    discardHttp2Body((request as Http2ServerRequest).stream, request);
  } else {
    discardHttp1Body(request, response as ServerResponse);
  }
}

/** The same over HTTP/1.1. */
export function discardHttp1Body(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete) return;
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > MAX_DISCARDED_BYTES) {
    if (!response.headersSent) response.setHeader("Connection", "close");
    return;
  }
  let discarded = 0;
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > MAX_DISCARDED_BYTES) request.destroy();
  });
  request.resume();
}

/** The same over HTTP/2. `body` is what the stream's body is read from. */
export function discardHttp2Body(stream: ServerHttp2Stream, body: Readable): void {
  const discard = () => {
    // What has come already would keep the stream from closing.
    body.resume();
    resetWhenAnswered(stream);
  };
  if (stream.writableFinished) discard();
  else stream.once("finish", discard);
}

/**
 * Asks a caller to send no more, by a reset without an error behind the complete answer (RFC 9113 §8.1). No event says when
 * the answer's last frame, which may be its trailers, is out; a reset in front of it would make a failure of the answer.
 */
function resetWhenAnswered(stream: ServerHttp2Stream): void {
  if (stream.closed || stream.destroyed) return;
  if (stream.state.localClose === 1) stream.close(constants.NGHTTP2_NO_ERROR);
  else setTimeout(resetWhenAnswered, ANSWER_CHECK_MS, stream);
}
