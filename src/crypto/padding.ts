/**
 * Padding that hides a payload's size to within a few percent: 0x80, then zeros (ISO/IEC 7816-4), up to a length that
 * Padmé gives (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019,
 * §4.2), and 512 bytes at least. docs/protocol.md section 6.2.
 */

import { CryptoError } from "./errors.ts";

/** Shortest padded length in bytes. */
export const MIN_PADDED_LENGTH = 512;

const MARKER = 0x80;

/** Length in bytes of a payload of `length` bytes after padding. */
export function paddedLength(length: number): number {
  return padme(Math.max(MIN_PADDED_LENGTH, length + 1));
}

/** The payload, 0x80, and zeros up to `paddedLength`. */
export function pad(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(paddedLength(payload.length));
  padded.set(payload);
  padded[payload.length] = MARKER;
  return padded;
}

/**
 * The payload of padded bytes, as a copy.
 *
 * @throws CryptoError `malformed` unless `pad` would give exactly these bytes. Call it on authenticated bytes only.
 */
export function unpad(padded: Uint8Array): Uint8Array<ArrayBuffer> {
  let length = padded.length - 1;
  while (length >= 0 && padded[length] === 0) length--;
  if (length < 0 || padded[length] !== MARKER || paddedLength(length) !== padded.length) {
    throw new CryptoError("malformed", "padding is not as it must be");
  }
  return new Uint8Array(padded.subarray(0, length));
}

/** L rounded up to a multiple of 2^(E−S), with E = ⌊log2 L⌋ and S = ⌊log2 E⌋ + 1. */
function padme(length: number): number {
  const exponent = floorLog2(length);
  const step = 2 ** (exponent - (floorLog2(exponent) + 1));
  return Math.ceil(length / step) * step;
}

function floorLog2(value: number): number {
  return 31 - Math.clz32(value);
}
