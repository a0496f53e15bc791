/**
 * Compression of messages: gzip (RFC 1952) or none. Requests are decompressed within their limit. Answers are compressed where
 * that is worth it, in the thread pool, and never where they hold secrets (docs/decisions/030-short-road.md).
 */

import { gunzip, gzip } from "node:zlib";
import { utf8 } from "../../crypto/bytes.ts";
import { malformedMessage, tooLarge, transportError } from "./errors.ts";

/** The name of the one compression, as all protocols write it. */
export const GZIP = "gzip";

/** Answers below this size are never compressed: what is saved is less than what it costs. */
export const MIN_COMPRESSED_BYTES = 1024;

// How many bytes of an answer are looked at before it is compressed.
const SAMPLE_BYTES = 1024;

/** Whether messages of an encoding, as a header names it, are compressed. */
export function isCompressed(encoding: string | undefined): boolean {
  return encoding === GZIP;
}

/** @throws ConnectError ENCODING_UNSUPPORTED for anything but gzip and none. `acceptHeader` tells the caller what there is. */
export function requireKnownEncoding(encoding: string | undefined, acceptHeader: string): void {
  if (encoding === undefined || encoding === "identity" || encoding === GZIP) return;
  const message = "the message is compressed in an unknown way: use gzip or none";
  throw transportError("ENCODING_UNSUPPORTED", message, { [acceptHeader]: GZIP });
}

/** Whether a list of encodings (RFC 9110 §12.5.3) has gzip in it. "*" is not taken as one: nobody who means gzip writes it. */
export function acceptsGzip(list: string | undefined): boolean {
  if (list === undefined) return false;
  return list.split(",").some((entry) => {
    const [name = "", ...parameters] = entry.split(";").map((part) => part.trim().toLowerCase());
    return name === GZIP && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

/** The bytes that were compressed. @throws ConnectError MESSAGE_TOO_LARGE above `maxBytes`, MESSAGE_INVALID if they are not gzip. */
export function decompress(data: Uint8Array, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(data, { maxOutputLength: Math.max(maxBytes, 1) }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE") reject(tooLarge(maxBytes));
      else reject(malformedMessage("the message cannot be decompressed"));
    });
  });
}

/** The bytes by gzip, undefined if that is no shorter. */
function compress(data: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    gzip(data, (error, bytes) => {
      if (error !== null) reject(error);
      else resolve(bytes.length < data.length ? bytes : undefined);
    });
  });
}

/**
 * An answer by gzip, undefined where that is not worth it: below MIN_COMPRESSED_BYTES, and where it looks random. Most of what this node has to say is keys and ciphertext, which nothing
 * shortens; finding that out by gzip takes longer than the rest of the call.
 */
export async function compressAnswer(message: Uint8Array | string): Promise<Uint8Array | undefined> {
  const data = typeof message === "string" ? utf8(message) : message;
  if (data.length < MIN_COMPRESSED_BYTES || looksRandom(data)) return undefined;
  return compress(data);
}

/**
 * Whether the byte values of a sample are spread about as evenly as random ones. The sum of the squares of their counts is
 * then near n + n²/256; text, and base64 with its 64 values, is beyond twice that.
 */
function looksRandom(data: Uint8Array): boolean {
  const step = Math.floor(data.length / SAMPLE_BYTES);
  const counts = new Uint16Array(256);
  let squares = 0;
  for (let n = 0, at = 0; n < SAMPLE_BYTES; n++, at += step) {
    const value = data[at] ?? 0;
    const count = counts[value] ?? 0;
    // (c + 1)² − c²
    squares += 2 * count + 1;
    counts[value] = count + 1;
  }
  return squares < 2 * (SAMPLE_BYTES + SAMPLE_BYTES ** 2 / 256);
}
