/**
 * The one message of a request: read within a limit, unwrapped, decompressed within the same limit, decoded. Every way in
 * which a stranger's bytes can be wrong ends in an error that says which, before a service sees anything.
 */

import { gunzip } from "node:zlib";
import { type DescMessage, fromBinary, fromJsonString, type Message } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { ConnectError } from "@connectrpc/connect";
import { fromUtf8, utf8 } from "../../crypto/bytes.ts";
import { fieldError, serviceError } from "../../services/errors.ts";
import type { Request } from "../listener.ts";
import { type HeldMemory, readBody } from "../request-body.ts";
import { malformedMessage, transportError } from "./errors.ts";
import type { WireFormat } from "./wire-format.ts";

/** A message and the size in which it came. */
export interface ReceivedMessage {
  readonly message: Message;
  readonly bytes: number;
}

/** Length of what stands in front of an enveloped message ("Length-Prefixed-Message" in gRPC's PROTOCOL-HTTP2.md). */
export const ENVELOPE_HEADER_BYTES = 5;

const COMPRESSED_FLAG = 1;
const GZIP = "gzip";

/**
 * Receives the message in a request's body.
 *
 * @param maxBytes limit of the message, as it came and decompressed.
 * @param signal ends the wait for the body; its reason is thrown.
 * @param memory asked while a large body comes in.
 * @throws ConnectError with its ErrorInfo.
 */
export async function receiveMessage(
  request: Request,
  format: WireFormat,
  schema: DescMessage,
  maxBytes: number,
  signal: AbortSignal,
  memory: HeldMemory,
): Promise<ReceivedMessage> {
  const encoding = encodingOf(request, format);
  const overhead = format.enveloped ? ENVELOPE_HEADER_BYTES : 0;
  const body = await readBody(request, maxBytes + overhead, () => tooLarge(maxBytes), signal, memory);
  const { data, compressed } = format.enveloped
    ? openEnvelope(body, encoding, maxBytes)
    : { data: body, compressed: isCompressed(encoding) && body.length > 0 };
  const message = await openMessage(schema, data, compressed, format.json, maxBytes);
  return { message, bytes: body.length };
}

/**
 * Receives the message in the query of a Connect GET request.
 *
 * @throws ConnectError with its ErrorInfo.
 */
export async function receiveQueryMessage(
  query: URLSearchParams,
  schema: DescMessage,
  maxBytes: number,
): Promise<ReceivedMessage> {
  const encoding = query.get("encoding");
  if (encoding !== "json" && encoding !== "proto") {
    throw fieldError("encoding", "must be json or proto");
  }
  const compression = query.get("compression") ?? undefined;
  requireKnownEncoding(compression, "accept-encoding");
  const text = query.get("message") ?? "";
  const data = query.get("base64") === "1" ? decodeBase64(text) : utf8(text);
  if (data.length > maxBytes) throw tooLarge(maxBytes);
  const message = await openMessage(schema, data, isCompressed(compression), encoding === "json", maxBytes);
  return { message, bytes: data.length };
}

/** The single value of a header; of repeated ones, all of them with commas between. */
export function headerOf(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** How the messages of a request are compressed, where they are. @throws ConnectError ENCODING_UNSUPPORTED */
export function encodingOf(request: Request, format: WireFormat): string | undefined {
  const encoding = headerOf(request, format.encodingHeader);
  requireKnownEncoding(encoding, format.acceptEncodingHeader);
  return encoding;
}

/**
 * What the five bytes in front of a message say.
 *
 * @throws ConnectError for unknown flags, for compression that no header names, for a message above its limit.
 */
export function readEnvelopeHeader(
  header: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): { readonly length: number; readonly compressed: boolean } {
  const flags = header.readUInt8(0);
  if ((flags & ~COMPRESSED_FLAG) !== 0) throw malformedMessage("the message has unknown flags");
  const length = header.readUInt32BE(1);
  if (length > maxBytes) throw tooLarge(maxBytes);
  const compressed = (flags & COMPRESSED_FLAG) !== 0;
  if (compressed && !isCompressed(encoding)) {
    throw malformedMessage("the message is marked as compressed, but no header says how");
  }
  return { length, compressed };
}

/**
 * The message in its bytes.
 *
 * @throws ConnectError
 */
export async function openMessage(
  schema: DescMessage,
  data: Uint8Array,
  compressed: boolean,
  json: boolean,
  maxBytes: number,
): Promise<Message> {
  const bytes = compressed ? await decompress(data, maxBytes) : data;
  return json ? decodeJson(schema, bytes) : decodeBinary(schema, bytes);
}

/** INVALID_ARGUMENT, because a body ends within a message. */
export function cutOff(): ConnectError {
  return malformedMessage("the message is cut off");
}

function requireKnownEncoding(encoding: string | undefined, acceptHeader: string): void {
  if (encoding === undefined || encoding === "identity" || encoding === GZIP) return;
  const message = "the message is compressed in an unknown way: use gzip or none";
  throw transportError("ENCODING_UNSUPPORTED", message, { [acceptHeader]: GZIP });
}

function isCompressed(encoding: string | undefined): boolean {
  return encoding === GZIP;
}

function openEnvelope(
  body: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): { data: Buffer; compressed: boolean } {
  if (body.length === 0) throw transportError("MESSAGE_COUNT_INVALID", "the request has no message");
  if (body.length < ENVELOPE_HEADER_BYTES) throw cutOff();
  const { length, compressed } = readEnvelopeHeader(body, encoding, maxBytes);
  const data = body.subarray(ENVELOPE_HEADER_BYTES);
  if (data.length < length) throw cutOff();
  if (data.length > length) {
    throw transportError("MESSAGE_COUNT_INVALID", "the request has more than one message");
  }
  return { data, compressed };
}

function decompress(data: Uint8Array, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(data, { maxOutputLength: maxBytes }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE") reject(tooLarge(maxBytes));
      else reject(malformedMessage("the message cannot be decompressed"));
    });
  });
}

// What the decoders say can quote the message, so their words stay here. They throw nothing but what is wrong with bytes.
function decodeBinary(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw malformedMessage(`the message is no protobuf encoding of ${schema.typeName}`);
  }
}

function decodeJson(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromJsonString(schema, fromUtf8(bytes), { ignoreUnknownFields: true });
  } catch (error) {
    const problem = `not what the JSON encoding of ${schema.typeName} has there`;
    const field = fieldOf(error);
    if (field !== undefined) throw fieldError(field, problem);
    throw malformedMessage(`the message is no JSON encoding of ${schema.typeName}`);
  }
}

/** The name of the field that a decoder of JSON could not read. */
function fieldOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return /^cannot decode field [\w.]+\.(\w+) from JSON/.exec(error.message)?.[1];
}

function decodeBase64(text: string): Uint8Array {
  try {
    return base64Decode(text);
  } catch {
    throw fieldError("message", "not base64");
  }
}

function tooLarge(maxBytes: number): ConnectError {
  const message = `the message is larger than ${maxBytes} bytes, the most that this call may be`;
  return serviceError("MESSAGE_TOO_LARGE", message, { metadata: { max_bytes: String(maxBytes) } });
}
