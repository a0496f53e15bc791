// What it means when a call to a peer fails: whatever connect-es, the connection or the peer itself threw, as one PeerError.
// Nothing that a peer wrote goes into a message; of what it says only a reason of this protocol is handed on.

import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { ERROR_DOMAIN } from "../protocol/reasons.ts";
import { connectionError } from "./dialer.ts";
import { PeerError } from "./errors.ts";

const MAX_RETRY_AFTER_MS = 3_600_000;
// Reasons are upper snake case, as AIP-193 has them; anything else from a stranger is not repeated.
const PEER_REASON = /^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$/;
const MOVED: ReadonlySet<string> = new Set(["DOMAIN_MOVED", "DOMAIN_NOT_HOSTED"]);

const RETRYABLE_CODES: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Whether a signal was aborted because time ran out. */
export function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

/** Whether a peer says that it is not, or no longer, where a domain lives. */
export function saysMoved({ peerReason }: PeerError): boolean {
  return MOVED.has(peerReason ?? "");
}

/**
 * Whether a peer refuses a stream for what it is: it does not know the method, has no place for one more, or has a proxy before
 * it that carries no streams both ways.
 */
export function refusesStream(domain: string, error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (error.code === Code.Unimplemented) return true;
  if (peerAnswer(domain, error)?.peerReason === "STREAM_LIMIT") return true;
  return /^HTTP (?:404|405|411|415|501|505)$/.test(error.rawMessage);
}

/**
 * The PeerError for what a call to `domain` threw.
 *
 * @throws the error itself if it has nothing to do with the peer.
 */
export function toPeerError(domain: string, error: unknown): PeerError {
  if (!(error instanceof ConnectError)) return connectionError(domain, error);
  const answered = peerAnswer(domain, error);
  if (answered !== undefined) return answered;
  // A redirect has to be told from the status, which connect-es gives in this form only.
  if (/^HTTP 3[0-9]{2}$/.test(error.rawMessage)) {
    return new PeerError("PEER_REDIRECT_REFUSED", domain, `${domain} answered a call with a redirect`, {
      cause: error,
    });
  }
  if (hasErrorCode(error)) return connectionError(domain, error);
  // A stream that was reset, in connect-es's words: "http/2 stream closed with error code CANCEL (0x8)".
  if (error.rawMessage.startsWith("http/2 stream closed")) {
    return new PeerError("PEER_UNREACHABLE", domain, `the connection with ${domain} broke`, { cause: error });
  }
  switch (error.code) {
    case Code.Unavailable:
      return new PeerError("PEER_UNREACHABLE", domain, `${domain} is not available`, { cause: error });
    case Code.DeadlineExceeded:
      return new PeerError("PEER_TIMEOUT", domain, `${domain} did not answer in time`, { cause: error });
    case Code.ResourceExhausted:
      // Raised on this side it has no headers of an answer with it.
      if ([...error.metadata.keys()].length === 0) {
        return new PeerError(
          "PEER_RESPONSE_TOO_LARGE",
          domain,
          `${domain} answered with more than a message may have`,
          { cause: error },
        );
      }
      return new PeerError("PEER_REFUSED", domain, `${domain} takes no more calls for now`, {
        retryable: true,
        cause: error,
      });
    default:
      return invalidResponse(domain, "that is none of this protocol", error);
  }
}

/** The error that a node gave for an answer, if it is one of this protocol (docs/protocol.md section 9). */
function peerAnswer(domain: string, error: ConnectError): PeerError | undefined {
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === ERROR_DOMAIN);
  if (info === undefined || !PEER_REASON.test(info.reason)) return undefined;
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const delayMs = delay === undefined ? undefined : Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
  return new PeerError("PEER_REFUSED", domain, `${domain} refused: ${info.reason}`, {
    peerReason: info.reason,
    retryable: RETRYABLE_CODES.has(error.code) || MOVED.has(info.reason),
    retryAfterMs: delayMs === undefined ? undefined : Math.min(Math.max(delayMs, 0), MAX_RETRY_AFTER_MS),
    cause: error,
  });
}

function hasErrorCode(error: ConnectError): boolean {
  const { cause } = error;
  if (cause instanceof PeerError) return true;
  return cause instanceof Error && "code" in cause && typeof cause.code === "string";
}

/** An answer that no node gives; `what` completes "gave an answer …". */
export function invalidResponse(domain: string, what: string, cause?: unknown): PeerError {
  return new PeerError("PEER_RESPONSE_INVALID", domain, `${domain} gave an answer ${what}`, { cause });
}
