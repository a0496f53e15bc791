/**
 * The messages of a request whose caller sends a stream, one by one as the method asks for them: what it does not ask for
 * stays with the caller, and one message at a time is in memory. Each has to come whole within a time, so that a caller who
 * falls silent holds no place; the stream as a whole may last and grow without limit.
 */

import type { DescMessage, Message } from "@bufbuild/protobuf";
import { serviceError } from "../../services/errors.ts";
import type { Request } from "../exchange.ts";
import {
  type BodyChunks,
  ByteQueue,
  bodyChunks,
  type HeldMemory,
  holdChunk,
  overloaded,
} from "../request-body.ts";
import { decompress } from "./compression.ts";
import { ENVELOPE_HEADER_BYTES, readEnvelopeHeader } from "./envelope.ts";
import { cutOff } from "./errors.ts";
import { decodeMessage } from "./message.ts";
import { encodingOf, type MessageOptions } from "./request-message.ts";
import type { WireFormat } from "./wire-format.ts";

/** How long a caller has for each message of a stream, in milliseconds, from when the method asks for it. */
export const STREAM_MESSAGE_MS = 60_000;

/** How a stream of messages is received. Memory is given back when the method asks for the next one. */
export interface MessageStreamOptions extends MessageOptions {
  /** How long the caller has for each message. */
  readonly messageMs: number;
  /** Told how many bytes a message came in. */
  readonly received: (bytes: number) => void;
}

/**
 * Receives the enveloped messages in a request's body.
 *
 * @throws ConnectError with its ErrorInfo.
 */
export async function* receiveMessages(
  request: Request,
  format: WireFormat,
  schema: DescMessage,
  options: MessageStreamOptions,
): AsyncGenerator<Message> {
  const { maxBytes, memory, registry } = options;
  const encoding = encodingOf(request, format);
  const silent = new AbortController();
  const chunks = bodyChunks(request, AbortSignal.any([options.signal, silent.signal]));
  const body = pieces(chunks, memory);
  try {
    for (;;) {
      const timer = setTimeout(() => silent.abort(tooSlow(options.messageMs)), options.messageMs);
      let message: Message;
      try {
        const header = await body.take(ENVELOPE_HEADER_BYTES);
        if (header === undefined) return;
        const { length, compressed } = readEnvelopeHeader(header, encoding, maxBytes);
        const data = await body.take(length);
        if (data === undefined) throw cutOff();
        options.received(ENVELOPE_HEADER_BYTES + length);
        const bytes = compressed ? await decompress(data, maxBytes) : data;
        message = decodeMessage(schema, bytes, format.json, registry);
      } finally {
        clearTimeout(timer);
      }
      yield message;
      memory.release();
    }
  } finally {
    chunks.close();
    memory.release();
  }
}

/** A body by pieces of the lengths that are asked for, whatever its chunks are. */
function pieces(chunks: BodyChunks, memory: HeldMemory) {
  const waiting = new ByteQueue();
  return {
    /** The next piece, undefined at the end of the body. @throws ConnectError when the body ends within it. */
    async take(wanted: number): Promise<Buffer | undefined> {
      while (waiting.length < wanted) {
        const chunk = await chunks.next();
        if (chunk === undefined && waiting.length === 0) return undefined;
        if (chunk === undefined) throw cutOff();
        waiting.push(chunk);
        // What is read ahead of the next message does not count, or a short one could be refused too.
        if (!holdChunk(memory, chunk, Math.min(waiting.length, wanted))) throw overloaded();
      }
      return waiting.take(wanted);
    },
  };
}

function tooSlow(messageMs: number) {
  return serviceError(
    "DEADLINE_EXCEEDED",
    `the next message of the stream did not come within ${messageMs} ms`,
  );
}
