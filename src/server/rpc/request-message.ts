/**
 * The one message of a request that is answered by a stream: read within a limit, unwrapped, decompressed within the same
 * limit, decoded. Every way in which a stranger's bytes can be wrong ends in an error that says which, before a service sees
 * anything.
 */

import type { DescMessage, Message, Registry } from "@bufbuild/protobuf";
import type { Request } from "../exchange.ts";
import { type HeldMemory, readBody } from "../request-body.ts";
import { decompress, requireKnownEncoding } from "./compression.ts";
import { ENVELOPE_HEADER_BYTES, openEnvelope } from "./envelope.ts";
import { tooLarge } from "./errors.ts";
import { decodeMessage } from "./message.ts";
import { headerOf } from "./request-header.ts";
import type { WireFormat } from "./wire-format.ts";

/** A message and the size in which it came. */
export interface ReceivedMessage {
  readonly message: Message;
  readonly bytes: number;
}

/** How messages are received. */
export interface MessageOptions {
  /** Limit of each message, as it came and decompressed. */
  readonly maxBytes: number;
  /** Ends a wait; its reason is thrown. */
  readonly signal: AbortSignal;
  /** Asked while a large message comes in. */
  readonly memory: HeldMemory;
  /** Types that an Any in JSON may hold. */
  readonly registry: Registry | undefined;
}

/** Receives the enveloped message in a request's body. @throws ConnectError with its ErrorInfo. */
export async function receiveMessage(
  request: Request,
  format: WireFormat,
  schema: DescMessage,
  { maxBytes, signal, memory, registry }: MessageOptions,
): Promise<ReceivedMessage> {
  const encoding = encodingOf(request, format);
  const maxBodyBytes = maxBytes + ENVELOPE_HEADER_BYTES;
  const body = await readBody(request, maxBodyBytes, () => tooLarge(maxBytes), signal, memory);
  const { data, compressed } = openEnvelope(body, encoding, maxBytes);
  const bytes = compressed ? await decompress(data, maxBytes) : data;
  return { message: decodeMessage(schema, bytes, format.json, registry), bytes: body.length };
}

/** How the messages of a request are compressed, where they are. @throws ConnectError ENCODING_UNSUPPORTED */
export function encodingOf(request: Request, format: WireFormat): string | undefined {
  const encoding = headerOf(request.headers, format.encodingHeader);
  requireKnownEncoding(encoding, format.acceptEncodingHeader);
  return encoding;
}
