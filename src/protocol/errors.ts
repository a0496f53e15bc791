// The one error type of the protocol layer: what a parser, builder or verifier of this folder throws when its input is
// not what docs/protocol.md allows. Services turn it into a Connect error with `google.rpc.ErrorInfo` (section 9) by its
// `reason` and `field`; nothing else of it travels.

/** What further is known about a {@link ProtocolError}. */
export interface ProtocolErrorDetails {
  /** Name of the input field at fault, as the caller knows it: "address", "apiUrl". */
  readonly field?: string | undefined;
  /** The lower error that led here, for logs only. */
  readonly cause?: unknown;
}

/**
 * Input that the protocol refuses. The message is short, lower-case, says what is wrong, and holds no secret.
 *
 *     throw new ProtocolError("ADDRESS_INVALID", "local part is empty", { field: "address" });
 */
export class ProtocolError extends Error {
  /** Machine-readable reason in UPPER_SNAKE, stable across releases; it travels as `ErrorInfo.reason`. */
  readonly reason: string;
  /** Name of the input field at fault, or undefined where no single field is. */
  readonly field: string | undefined;

  constructor(reason: string, message: string, details: ProtocolErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "ProtocolError";
    this.reason = reason;
    this.field = details.field;
  }
}
