/**
 * Errors as callers see them (docs/protocol.md, section 9): a Connect/gRPC code with exactly one google.rpc.ErrorInfo, field
 * violations for bad input, RetryInfo where a retry helps. And the translation of the lower layers' errors into these.
 */

import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { PeerError } from "../federation/errors.ts";
import { InboundError } from "../federation/inbound.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { ERROR_DOMAIN, REASONS, type Reason, type StatusName } from "../protocol/reasons.ts";
import { StorageError } from "../storage/errors.ts";

const CODES: Record<StatusName, Code> = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  NOT_FOUND: Code.NotFound,
  ALREADY_EXISTS: Code.AlreadyExists,
  PERMISSION_DENIED: Code.PermissionDenied,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  ABORTED: Code.Aborted,
  UNAVAILABLE: Code.Unavailable,
  UNAUTHENTICATED: Code.Unauthenticated,
  UNIMPLEMENTED: Code.Unimplemented,
  INTERNAL: Code.Internal,
};

/** What the RPC framework throws by itself, without a reason: for bytes it cannot read, and for time that ran out. */
const FRAMEWORK_REASONS: ReadonlyMap<Code, Reason> = new Map([
  [Code.InvalidArgument, "MESSAGE_INVALID"],
  [Code.ResourceExhausted, "MESSAGE_TOO_LARGE"],
  [Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
  [Code.Unimplemented, "METHOD_UNKNOWN"],
]);

/** When to come back to a database that cannot answer, in milliseconds. */
const DATABASE_RETRY_MS = 1_000;
/** When to come back to a node that has too much to look up, in milliseconds. */
const BUSY_RETRY_MS = 1_000;

/** What an error may carry beside its reason and message. */
export interface ErrorExtras {
  /** Path of the field that is wrong, in the spelling of the schema; makes a BadRequest. */
  readonly field?: string | undefined;
  /** When to try again, in milliseconds; makes a RetryInfo. */
  readonly retryAfterMs?: number | undefined;
  /** Facts for programs, such as the active number. Never a secret. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** What was underneath; never sent. */
  readonly cause?: unknown;
}

/** An error with a reason, ready to be thrown from a service. */
export function serviceError(reason: Reason, message: string, extras: ErrorExtras = {}): ConnectError {
  const error = new ConnectError(message, CODES[REASONS[reason]], undefined, undefined, extras.cause);
  error.details.push({
    desc: ErrorInfoSchema,
    value: create(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN, metadata: { ...extras.metadata } }),
  });
  if (extras.field !== undefined) {
    const violation = { field: extras.field, description: message, reason };
    error.details.push({
      desc: BadRequestSchema,
      value: create(BadRequestSchema, { fieldViolations: [violation] }),
    });
  }
  if (extras.retryAfterMs !== undefined) {
    const seconds = Math.floor(extras.retryAfterMs / 1_000);
    const nanos = Math.floor((extras.retryAfterMs % 1_000) * 1e6);
    const retryDelay = create(DurationSchema, { seconds: BigInt(seconds), nanos });
    error.details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return error;
}

/** INVALID_ARGUMENT for one field. */
export function fieldError(field: string, message: string): ConnectError {
  return serviceError("FIELD_INVALID", `${field}: ${message}`, { field });
}

/** The reason that an error carries, if it has one. */
export function reasonOf(error: ConnectError): string | undefined {
  return error.findDetails(ErrorInfoSchema)[0]?.reason;
}

/**
 * Whatever a service threw, as its caller may see it. What no caller can do anything about is INTERNAL with the original
 * as its cause, for the log; so is an error that came over the wire from somebody else, whose words are not this node's.
 */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return fromFramework(error);
  if (error instanceof ProtocolError) {
    if (!isReason(error.reason)) return internal(error);
    return serviceError(error.reason, error.message, { field: error.field, cause: error });
  }
  if (error instanceof StorageError) return fromStorage(error);
  if (error instanceof PeerError) return fromPeer(error);
  if (error instanceof InboundError) return serviceError(error.reason, error.message, { cause: error });
  return internal(error);
}

function fromFramework(error: ConnectError): ConnectError {
  if (error.isWireError) return internal(error);
  // Nobody reads the answer to a call that its own caller cancelled.
  if (reasonOf(error) !== undefined || error.code === Code.Canceled) return error;
  const reason = FRAMEWORK_REASONS.get(error.code);
  return reason === undefined ? internal(error) : serviceError(reason, error.rawMessage, { cause: error });
}

function fromStorage(error: StorageError): ConnectError {
  if (error.reason === "ACCOUNT_GONE") {
    return serviceError("SESSION_INVALID", "the account was deleted", { cause: error });
  }
  if (!error.retryable) return internal(error);
  const extras = { retryAfterMs: DATABASE_RETRY_MS, cause: error };
  return serviceError("DATABASE_UNAVAILABLE", error.message, extras);
}

function fromPeer(error: PeerError): ConnectError {
  const metadata: Record<string, string> = { domain: error.domain };
  if (error.peerReason !== undefined) metadata.peer_reason = error.peerReason;
  const retryAfterMs = error.retryAfterMs ?? (error.reason === "PEER_BUSY" ? BUSY_RETRY_MS : undefined);
  return serviceError(error.reason, error.message, { metadata, retryAfterMs, cause: error });
}

function internal(cause: unknown): ConnectError {
  return serviceError("INTERNAL", "internal error", { cause });
}

function isReason(reason: string): reason is Reason {
  return Object.hasOwn(REASONS, reason);
}
