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
import { malformedMessage, transportError } from "./errors.ts";
import type { WireFormat } from "./wire-format.ts";

/**
 * Asks for memory to hold so many more bytes of a body; false if this node holds too much of other bodies at the moment.
 */
export type HoldBytes = (bytes: number) => boolean;

/** A message and the size in which it came. */
export interface ReceivedMessage {
  readonly message: Message;
  readonly bytes: number;
}

// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message".
const ENVELOPE_HEADER_BYTES = 5;
const COMPRESSED_FLAG = 1;
// What any body may take without asking, so that small calls go on while somebody floods the node with large ones.
const FREE_BODY_BYTES = 64 * 1024;
const BUSY_RETRY_MS = 1_000;
const GZIP = "gzip";

/**
 * Receives the message in a request's body.
 *
 * @param maxBytes limit of the message, as it came and decompressed.
 * @param signal ends the wait for the body; its reason is thrown.
 * @param hold asked while a large body comes in.
 * @throws ConnectError with its ErrorInfo.
 */
export async function receiveMessage(
  request: Request,
  format: WireFormat,
  schema: DescMessage,
  maxBytes: number,
  signal: AbortSignal,
  hold: HoldBytes,
): Promise<ReceivedMessage> {
  const encoding = headerOf(request, format.encodingHeader);
  requireKnownEncoding(encoding, format.acceptEncodingHeader);
  const overhead = format.enveloped ? ENVELOPE_HEADER_BYTES : 0;
  const body = await readBody(request, maxBytes + overhead, maxBytes, signal, hold);
  const { data, compressed } = format.enveloped
    ? openEnvelope(body, maxBytes)
    : { data: body, compressed: isCompressed(encoding) && body.length > 0 };
  if (compressed && !isCompressed(encoding)) {
    throw malformedMessage("the message is marked as compressed, but no header says how");
  }
  const bytes = compressed ? await decompress(data, maxBytes) : data;
  return { message: decode(schema, bytes, format.json), bytes: body.length };
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
  const bytes = isCompressed(compression) ? await decompress(data, maxBytes) : data;
  return { message: decode(schema, bytes, encoding === "json"), bytes: data.length };
}

/** The single value of a header; of repeated ones, all of them with commas between. */
export function headerOf(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

function requireKnownEncoding(encoding: string | undefined, acceptHeader: string): void {
  if (encoding === undefined || encoding === "identity" || encoding === GZIP) return;
  const message = "the message is compressed in an unknown way: use gzip or none";
  throw transportError("ENCODING_UNSUPPORTED", message, { [acceptHeader]: GZIP });
}

function isCompressed(encoding: string | undefined): boolean {
  return encoding === GZIP;
}

function readBody(
  request: Request,
  maxBodyBytes: number,
  maxBytes: number,
  signal: AbortSignal,
  hold: HoldBytes,
): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes)
    return Promise.reject(tooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (settled: () => void) => {
      request.off("data", take);
      request.off("end", end);
      request.off("error", fail);
      signal.removeEventListener("abort", abort);
      settled();
    };
    const take = (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > maxBodyBytes) settle(() => reject(tooLarge(maxBytes)));
      else if (length > FREE_BODY_BYTES && !hold(chunk.length)) settle(() => reject(overloaded()));
    };
    const end = () => settle(() => resolve(Buffer.concat(chunks, length)));
    const fail = () => settle(() => reject(transportError("CANCELLED", "the caller went away")));
    const abort = () => settle(() => reject(signal.reason));
    // A broken connection can report itself after the wait for it is over.
    request.on("error", () => {});
    request.on("data", take);
    request.on("end", end);
    request.on("error", fail);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
  });
}

function openEnvelope(body: Buffer, maxBytes: number): { data: Buffer; compressed: boolean } {
  if (body.length === 0) throw transportError("MESSAGE_COUNT_INVALID", "the request has no message");
  if (body.length < ENVELOPE_HEADER_BYTES) throw malformedMessage("the message is cut off");
  const flags = body.readUInt8(0);
  if ((flags & ~COMPRESSED_FLAG) !== 0) throw malformedMessage("the message has unknown flags");
  const length = body.readUInt32BE(1);
  if (length > maxBytes) throw tooLarge(maxBytes);
  const data = body.subarray(ENVELOPE_HEADER_BYTES);
  if (data.length < length) throw malformedMessage("the message is cut off");
  if (data.length > length) {
    throw transportError("MESSAGE_COUNT_INVALID", "the request has more than one message");
  }
  return { data, compressed: (flags & COMPRESSED_FLAG) !== 0 };
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

function decode(schema: DescMessage, bytes: Uint8Array, json: boolean): Message {
  return json ? decodeJson(schema, bytes) : decodeBinary(schema, bytes);
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

function overloaded(): ConnectError {
  const message = "this node receives too many large messages at the moment: try again";
  return serviceError("RATE_LIMITED", message, { retryAfterMs: BUSY_RETRY_MS });
}
