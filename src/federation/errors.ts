// The one error type of everything that reaches out to another node: why a domain could not be found, connected to,
// understood or called. Services and the outbox decide by `reason` and `retryable`; people read the message, which says
// what this node met and never repeats what a peer wrote.

/**
 * Why a peer could not be asked. Stable across releases.
 *
 * - `DOMAIN_NOT_FOUND`: the domain does not exist, or publishes no discovery document (404, 410).
 * - `DISCOVERY_FAILED`: the document could not be had for now: an HTTP status that says nothing of it.
 * - `DISCOVERY_DOCUMENT_INVALID`: the document is not what docs/protocol.md section 2 says.
 * - `DOMAIN_UNPROVEN`: what the domain publishes does not bear out its host, or cannot and has to.
 * - `DOMAIN_DOWNGRADED`: the domain proves less than it did.
 * - `DOMAIN_CHANGED`: the domain has another key, which waits until it has stood or the operator confirms it.
 * - `PEER_PROTOCOL_UNSUPPORTED`: the peer speaks no version that this node speaks.
 * - `PEER_ADDRESS_FORBIDDEN`: the name leads to where a node does not connect on somebody's word.
 * - `PEER_REDIRECT_REFUSED`: a redirect of a call, one too many of a document, or one to where none may lead.
 * - `PEER_TLS_FAILED`: no TLS 1.3 with a certificate that is trusted and names the peer.
 * - `PEER_UNREACHABLE`: no connection, or one that broke.
 * - `PEER_TIMEOUT`: connected, or trying to, and no whole answer in time.
 * - `PEER_RESPONSE_TOO_LARGE`, `PEER_RESPONSE_INVALID`: the answer is beyond its limit, or no answer of this protocol.
 * - `PEER_REFUSED`: the peer answered with an error of its own; `peerReason` and `retryAfterMs` say what it gave.
 * - `PEER_BUSY`: this node has too many look-ups under way.
 * - `PEER_CALL_CANCELLED`: whoever asked gave up, or this node is stopping.
 */
export type PeerErrorReason =
  | "DOMAIN_NOT_FOUND"
  | "DISCOVERY_FAILED"
  | "DISCOVERY_DOCUMENT_INVALID"
  | "DOMAIN_UNPROVEN"
  | "DOMAIN_DOWNGRADED"
  | "DOMAIN_CHANGED"
  | "PEER_PROTOCOL_UNSUPPORTED"
  | "PEER_ADDRESS_FORBIDDEN"
  | "PEER_REDIRECT_REFUSED"
  | "PEER_TLS_FAILED"
  | "PEER_UNREACHABLE"
  | "PEER_TIMEOUT"
  | "PEER_RESPONSE_TOO_LARGE"
  | "PEER_RESPONSE_INVALID"
  | "PEER_REFUSED"
  | "PEER_BUSY"
  | "PEER_CALL_CANCELLED";

// Causes that may pass without anyone doing anything about them.
const PASSING: ReadonlySet<PeerErrorReason> = new Set([
  "DISCOVERY_FAILED",
  "DOMAIN_CHANGED",
  "PEER_UNREACHABLE",
  "PEER_TIMEOUT",
  "PEER_RESPONSE_TOO_LARGE",
  "PEER_RESPONSE_INVALID",
  "PEER_BUSY",
  "PEER_CALL_CANCELLED",
]);

/** What further is known about a {@link PeerError}. */
export interface PeerErrorDetails {
  /** Overrides what the reason alone says. */
  readonly retryable?: boolean | undefined;
  /** `ErrorInfo.reason` of the peer's answer. */
  readonly peerReason?: string | undefined;
  /** How long the peer asks to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** The lower error, for logs only. */
  readonly cause?: unknown;
}

/** A peer, or the domain that should lead to one, could not be asked. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  /** Machine-readable cause. */
  readonly reason: PeerErrorReason;
  /** The domain that was asked for, or the host that was connected to; canonical. */
  readonly domain: string;
  /** Whether the cause may pass by itself. False where the domain's owner or this node's operator has to act. */
  readonly retryable: boolean;
  /** `ErrorInfo.reason` of a peer's own error, such as "ADDRESS_UNKNOWN": upper snake case, at most 63 characters. */
  readonly peerReason: string | undefined;
  /** How long a peer asks to wait before the next attempt, in milliseconds, at most an hour. */
  readonly retryAfterMs: number | undefined;

  constructor(reason: PeerErrorReason, domain: string, message: string, details: PeerErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.domain = domain;
    this.retryable = details.retryable ?? PASSING.has(reason);
    this.peerReason = details.peerReason;
    this.retryAfterMs = details.retryAfterMs;
  }
}
