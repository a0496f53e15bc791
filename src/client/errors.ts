/**
 * The one error of the client library: what a node answered, or what the client itself refused, with a machine-readable
 * reason to decide by and a message to show.
 */

import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { CryptoError } from "../crypto/errors.ts";
import { ProtocolError } from "../protocol/errors.ts";

/**
 * Reasons of the client's own; a node's are listed in docs/protocol.md, section 9.
 *
 * - `NODE_UNREACHABLE`: no answer from a node.
 * - `NODE_ANSWER_INVALID`: an answer that is none of this protocol.
 * - `DISCOVERY_FAILED`: a domain's discovery document could not be had.
 * - `PASSWORD_WRONG`: the password does not open the account key.
 * - `PASSWORD_PARAMETERS_CHANGED`: the node names another salt or a lower cost than this device knows.
 * - `OWN_KEYS_MISMATCH`: the node publishes other keys for this account than its seeds give, or hides some that its devices
 *   have seen.
 * - `CONTACTS_ROLLED_BACK`: the node gives an older contact book than this device has seen.
 * - `CONTACT_CHANGED`: a contact's keys do not continue the pinned ones; a person has to confirm.
 * - `CONTACT_FORK`: a contact's keys contradict the pinned ones; refused.
 * - `CONTACT_UNCONFIRMED`: a first share's sender could not be checked at its own domain; a person has to confirm.
 * - `FINGERPRINT_MISMATCH`: a contact's keys are not those whose fingerprint a person compared.
 * - `CONTACT_UNKNOWN`: no such entry in the contact book.
 * - `STAMP_TOO_HARD`: a recipient asks for more work than a sender has to do.
 */
export type ClientReason =
  | "NODE_UNREACHABLE"
  | "NODE_ANSWER_INVALID"
  | "DISCOVERY_FAILED"
  | "PASSWORD_WRONG"
  | "PASSWORD_PARAMETERS_CHANGED"
  | "OWN_KEYS_MISMATCH"
  | "CONTACTS_ROLLED_BACK"
  | "CONTACT_CHANGED"
  | "CONTACT_FORK"
  | "CONTACT_UNCONFIRMED"
  | "FINGERPRINT_MISMATCH"
  | "CONTACT_UNKNOWN"
  | "STAMP_TOO_HARD";

/** What further is known about a {@link ClientError}. */
export interface ClientErrorDetails {
  readonly code?: Code | undefined;
  readonly field?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call failed, or the client refused to go on. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  /** UPPER_SNAKE. */
  readonly reason: string;
  /** Connect code, where a node answered. */
  readonly code: Code | undefined;
  /** The field that was wrong, where one was. */
  readonly field: string | undefined;
  /** Facts for programs. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When to try again, in milliseconds, where the node said so. */
  readonly retryAfterMs: number | undefined;

  constructor(reason: string, message: string, details: ClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.code = details.code;
    this.field = details.field;
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Any error of a call or of the lower layers as a ClientError; abort errors and bugs as they are. */
export function toClientError(error: unknown): unknown {
  if (error instanceof ProtocolError) {
    return new ClientError(error.reason, error.message, { field: error.field, cause: error });
  }
  if (error instanceof CryptoError) return new ClientError("CRYPTO_REFUSED", error.message, { cause: error });
  if (!(error instanceof ConnectError)) return error;
  if (error.code === Code.Canceled && error.cause instanceof Error && error.cause.name === "AbortError") {
    return error.cause;
  }
  const info = error.findDetails(ErrorInfoSchema)[0];
  const violation = error.findDetails(BadRequestSchema)[0]?.fieldViolations[0];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const unreachable =
    error.code === Code.Unavailable || error.code === Code.DeadlineExceeded || isNetworkError(error);
  return new ClientError(
    info?.reason ?? (unreachable ? "NODE_UNREACHABLE" : "NODE_ANSWER_INVALID"),
    error.rawMessage,
    {
      code: error.code,
      field: violation?.field,
      metadata: info?.metadata,
      retryAfterMs: delay ? Number(delay.seconds) * 1_000 + delay.nanos / 1e6 : undefined,
      cause: error,
    },
  );
}

/** Whether no answer came at all: `fetch` says so with a TypeError (the Fetch standard, "network error"). */
function isNetworkError(error: ConnectError): boolean {
  return error.code === Code.Unknown && error.cause instanceof TypeError;
}

/** Runs a call and turns what it throws into a ClientError. */
export async function call<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw toClientError(error);
  }
}
