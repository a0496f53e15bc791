/**
 * Errors as callers see them (docs/protocol.md, section 9): a Connect/gRPC code with exactly one google.rpc.ErrorInfo, field
 * violations for bad input, RetryInfo where a retry helps. And the translation of the lower layers' errors into these.
 */

import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { ERROR_DOMAIN, REASONS, type Reason, type StatusName } from "../protocol/reasons.ts";

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
    const nanos = Math.round((extras.retryAfterMs % 1_000) * 1e6);
    const retryDelay = create(DurationSchema, { seconds: BigInt(seconds), nanos });
    error.details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return error;
}

/** INVALID_ARGUMENT for one field. */
export function fieldError(field: string, message: string): ConnectError {
  return serviceError("FIELD_INVALID", `${field}: ${message}`, { field });
}
