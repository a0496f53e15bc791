/**
 * What became of a call that failed, as its caller may know it (docs/protocol.md, section 9): every error leaves with exactly
 * one ErrorInfo. What nobody expected becomes INTERNAL with the id under which the log has the rest.
 */

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Logger } from "../../logger.ts";
import { ERROR_DOMAIN } from "../../protocol/reasons.ts";
import { reasonOf, serviceError, toConnectError } from "../../services/errors.ts";
import { StorageError } from "../../storage/errors.ts";

/** Reasons of the transport alone, which no method of a service can give. Their codes are those of gRPC's status list. */
const TRANSPORT_REASONS = {
  /** The message is compressed in a way that this node does not know. */
  ENCODING_UNSUPPORTED: Code.Unimplemented,
  /** The message is marked as compressed, and no header says how (gRPC's compression.md has the code). */
  ENCODING_MISSING: Code.Internal,
  /** Not exactly one request message, where the method takes one. */
  MESSAGE_COUNT_INVALID: Code.Unimplemented,
  /** The caller went away. Only the log sees it. */
  CANCELLED: Code.Canceled,
} as const;

/** How soon to come back to a node that is stopping, in milliseconds: by then it has, or another one answers. */
const RETRY_AFTER_MS = 1_000;

/** An error of the transport. `headers` go out with it. */
export function transportError(
  reason: keyof typeof TRANSPORT_REASONS,
  message: string,
  headers?: Readonly<Record<string, string>>,
): ConnectError {
  const error = new ConnectError(message, TRANSPORT_REASONS[reason], headers);
  const value = create(ErrorInfoSchema, { reason, domain: ERROR_DOMAIN });
  error.details.push({ desc: ErrorInfoSchema, value });
  return error;
}

/** UNAVAILABLE, because this node is stopping. */
export function shuttingDown(): ConnectError {
  return serviceError("SHUTTING_DOWN", "this node is stopping: try again", { retryAfterMs: RETRY_AFTER_MS });
}

/**
 * What a call threw, as its caller may see it. A bug is logged with its stack under `requestId`, and leaves without any of
 * it.
 */
export function callError(thrown: unknown, requestId: string, log: Logger): ConnectError {
  const error = toConnectError(thrown);
  const reason = reasonOf(error);
  if (reason === undefined && error.code === Code.Canceled) {
    return transportError("CANCELLED", "the caller went away");
  }
  if (reason !== undefined && (error.code !== Code.Internal || reason === "ENCODING_MISSING")) {
    if (thrown instanceof StorageError) {
      const { reason: problem, code } = thrown;
      log.warn({ requestId, problem, code }, "the database did not do what a call asked");
    }
    return error;
  }
  log.error({ requestId, err: thrown }, "a call failed in a way that is a bug");
  return serviceError("INTERNAL", `internal error: tell the operator of request ${requestId}`, {
    metadata: { request_id: requestId },
  });
}

/** INVALID_ARGUMENT for a message as a whole. */
export function malformedMessage(problem: string): ConnectError {
  return serviceError("MESSAGE_INVALID", problem);
}

/** INVALID_ARGUMENT, because a body ends within a message. */
export function cutOff(): ConnectError {
  return malformedMessage("the message is cut off");
}

/** RESOURCE_EXHAUSTED for a message above the limit of its call. */
export function tooLarge(maxBytes: number): ConnectError {
  const message = `the message is larger than ${maxBytes} bytes, the most that this call may be`;
  return serviceError("MESSAGE_TOO_LARGE", message, { metadata: { max_bytes: String(maxBytes) } });
}
