/**
 * Byte strings: joining, the protocol's length-prefixed and integer encodings (docs/protocol.md, conventions), hex,
 * base64 and UTF-8 in one strict form each, comparison in constant time, random bytes. Runs in Node and browsers.
 */

import { CryptoError } from "./errors.ts";

const U32_MAX = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const RANDOM_CHUNK = 65_536; // the most that getRandomValues gives at once (Web Cryptography API §10.1.1)

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Joins byte strings into a new one. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/**
 * `u32(length) || x`, the protocol's length prefix; strings are encoded as UTF-8 first.
 *
 * @throws CryptoError `malformed` when a string holds a lone surrogate.
 */
export function lp(x: Uint8Array | string): Uint8Array<ArrayBuffer> {
  const bytes = typeof x === "string" ? utf8(x) : x;
  return concat(u32(bytes.length), bytes);
}

/** One byte. @throws CryptoError `out-of-range` unless `value` is an integer from 0 to 255. */
export function u8(value: number): Uint8Array<ArrayBuffer> {
  requireInteger(value, 0xff);
  return Uint8Array.of(value);
}

/** Four bytes, big-endian. @throws CryptoError `out-of-range` unless `value` is an integer below 2^32. */
export function u32(value: number): Uint8Array<ArrayBuffer> {
  requireInteger(value, U32_MAX);
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/**
 * Eight bytes, big-endian.
 *
 * @throws CryptoError `out-of-range` unless `value` is a bigint below 2^64 or a safe non-negative integer.
 */
export function u64(value: number | bigint): Uint8Array<ArrayBuffer> {
  if (typeof value === "number") requireInteger(value, Number.MAX_SAFE_INTEGER);
  const wide = BigInt(value);
  if (wide < 0n || wide > U64_MAX) throw new CryptoError("out-of-range", "integer does not fit 64 bits");
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, wide);
  return bytes;
}

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += (byte < 16 ? "0" : "") + byte.toString(16);
  return hex;
}

/** Bytes of lower-case hex. @throws CryptoError `malformed` for upper case, odd length or anything else. */
export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/.test(hex)) {
    throw new CryptoError("malformed", "not lower-case hex");
  }
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Base64 with the standard alphabet and padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * Bytes of standard base64 with padding (RFC 4648 §4), in its one canonical form.
 *
 * @throws CryptoError `malformed` for white space, the URL alphabet, missing padding or stray trailing bits (§3.5).
 */
export function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    throw new CryptoError("malformed", "not standard base64 with padding");
  }
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  // atob ignores the unused low bits of the last character, which would give one byte string several spellings.
  if (toBase64(bytes.subarray(bytes.length - (bytes.length % 3))) !== lastQuantum(base64)) {
    throw new CryptoError("malformed", "not canonical base64");
  }
  return bytes;
}

/** UTF-8 of a string. @throws CryptoError `malformed` when it holds a lone surrogate. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  if (!text.isWellFormed()) throw new CryptoError("malformed", "text holds a lone surrogate");
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}

/** The string that UTF-8 bytes spell, a byte order mark kept as it is. @throws CryptoError `malformed`. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    throw new CryptoError("malformed", "not valid UTF-8");
  }
}

/** Whether two byte strings are equal, in time that depends on their lengths alone. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

/** `length` bytes from the platform's cryptographic random generator. */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += RANDOM_CHUNK) {
    globalThis.crypto.getRandomValues(bytes.subarray(offset, offset + RANDOM_CHUNK));
  }
  return bytes;
}

/** Overwrites secrets with zeros: best effort, since the engine may have copied them. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}

function lastQuantum(base64: string): string {
  return base64.endsWith("=") ? base64.slice(-4) : "";
}

function requireInteger(value: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new CryptoError("out-of-range", `number must be an integer from 0 to ${max}`);
  }
}
