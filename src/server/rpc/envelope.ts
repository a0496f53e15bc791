/**
 * The five bytes in front of a message, flags and length, that gRPC, gRPC-Web and Connect's streams have alike
 * ("Length-Prefixed-Message" in gRPC's PROTOCOL-HTTP2.md, "Enveloped-Message" in Connect's protocol).
 */

import { byteLength } from "../exchange.ts";
import { isCompressed } from "./compression.ts";
import { cutOff, malformedMessage, tooLarge, transportError } from "./errors.ts";

/** Length of what stands in front of an enveloped message. */
export const ENVELOPE_HEADER_BYTES = 5;

/** The message behind the envelope is compressed. */
export const COMPRESSED_FLAG = 1;

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
    throw transportError("ENCODING_MISSING", "the message is marked as compressed, but no header says how");
  }
  return { length, compressed };
}

/** The message of a body that holds exactly one. @throws ConnectError */
export function openEnvelope(
  body: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): { readonly data: Buffer; readonly compressed: boolean } {
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

/** Enveloped messages behind each other; text goes out as UTF-8. */
export function envelopes(
  ...messages: readonly (readonly [flags: number, data: Uint8Array | string])[]
): Buffer {
  let length = 0;
  for (const [, data] of messages) length += ENVELOPE_HEADER_BYTES + byteLength(data);
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for (const [flags, data] of messages) {
    const size = byteLength(data);
    bytes.writeUInt8(flags, at);
    bytes.writeUInt32BE(size, at + 1);
    at += ENVELOPE_HEADER_BYTES;
    if (typeof data === "string") bytes.write(data, at);
    else bytes.set(data, at);
    at += size;
  }
  return bytes;
}

const framed = new WeakMap<Uint8Array, Buffer>();

/**
 * A message in its envelope, for bytes that go out again and again: made once and kept as long as they are.
 *
 * @param data not to be changed.
 */
export function keptEnvelope(flags: number, data: Uint8Array): Buffer {
  let envelope = framed.get(data);
  if (envelope === undefined || envelope[0] !== flags) {
    envelope = envelopes([flags, data]);
    framed.set(data, envelope);
  }
  return envelope;
}
