/**
 * The one error type of the crypto layer. Its reason is for programs, its message for people; neither ever holds a
 * secret or says more about a failed decryption than that it failed.
 */

/**
 * Why a function of this layer refused.
 *
 * - `wrong-length`: a byte string has another length than its standard demands.
 * - `malformed`: hex, base64, UTF-8, padding or a number that is not what it claims to be.
 * - `invalid-key`: a public key of the right length that must not be used (low order, out-of-range coefficients).
 * - `decryption-failed`: authentication, commitment or padding did not hold; deliberately not told apart.
 * - `out-of-range`: a cost, difficulty, length or number outside what the protocol allows.
 * - `unavailable`: this JavaScript engine lacks what is needed.
 */
export type CryptoErrorReason =
  | "wrong-length"
  | "malformed"
  | "invalid-key"
  | "decryption-failed"
  | "out-of-range"
  | "unavailable";

/** Thrown by every function under `src/crypto` that refuses its input. */
export class CryptoError extends Error {
  override readonly name = "CryptoError";
  /** Machine-readable cause; stable across releases. */
  readonly reason: CryptoErrorReason;

  constructor(reason: CryptoErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Requires `bytes` to be a Uint8Array of exactly `length` bytes.
 *
 * @throws CryptoError `wrong-length`; the message names the value, never its content.
 */
export function requireLength(name: string, bytes: Uint8Array, length: number): void {
  if (!(bytes instanceof Uint8Array)) throw new CryptoError("wrong-length", `${name} must be a Uint8Array`);
  if (bytes.length !== length) {
    throw new CryptoError("wrong-length", `${name} must be ${length} bytes, got ${bytes.length}`);
  }
}

/** Requires an integer within bounds, both included. @throws CryptoError `out-of-range`. */
export function requireRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new CryptoError("out-of-range", `${name} must be an integer from ${min} to ${max}`);
  }
}
