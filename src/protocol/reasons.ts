/**
 * Every reason that an error of this node can carry in `google.rpc.ErrorInfo` (docs/protocol.md, section 9), with the code
 * that goes with it. A client decides by the reason; the message is for people.
 */

/** Value of `ErrorInfo.domain`. */
export const ERROR_DOMAIN = "keypears.v1";

/** Canonical status codes by the names of gRPC, as far as reasons use them. */
export type StatusName =
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED"
  | "UNIMPLEMENTED"
  | "INTERNAL";

/** Reasons and their codes. */
export const REASONS = {
  /** A field is missing, malformed or out of range; BadRequest names it. */
  FIELD_INVALID: "INVALID_ARGUMENT",
  /** No valid address. */
  ADDRESS_INVALID: "INVALID_ARGUMENT",
  /** No valid domain. */
  DOMAIN_INVALID: "INVALID_ARGUMENT",
  /** The bytes of the request are no message of the method. */
  MESSAGE_INVALID: "INVALID_ARGUMENT",
  /** The page token is not of this list. */
  PAGE_TOKEN_INVALID: "INVALID_ARGUMENT",
  /** The request id was used for another request. */
  REQUEST_ID_REUSED: "INVALID_ARGUMENT",
  /** A key set is malformed, not in canonical encoding, or its signatures do not verify. */
  KEY_SET_INVALID: "INVALID_ARGUMENT",
  /** An envelope is malformed, not in canonical encoding, or its signature does not verify. */
  ENVELOPE_INVALID: "INVALID_ARGUMENT",
  /** An envelope is larger than this node takes. */
  ENVELOPE_TOO_LARGE: "INVALID_ARGUMENT",
  /** The message, decompressed, is larger than this node takes. */
  MESSAGE_TOO_LARGE: "RESOURCE_EXHAUSTED",
  /** No account of this address. */
  ADDRESS_UNKNOWN: "NOT_FOUND",
  /** The account has no key set of this number. */
  KEY_SET_UNKNOWN: "NOT_FOUND",
  /** The account has no such share. */
  SHARE_UNKNOWN: "NOT_FOUND",
  /** The share's delivery has come to an end. */
  DELIVERY_ENDED: "FAILED_PRECONDITION",
  /** The share is being delivered at this moment. */
  DELIVERY_UNDER_WAY: "FAILED_PRECONDITION",
  /** The domain publishes no discovery document. */
  DOMAIN_NOT_FOUND: "NOT_FOUND",
  /** The domain's accounts live elsewhere. */
  DOMAIN_NOT_HOSTED: "FAILED_PRECONDITION",
  /** The address is taken, or was once. */
  ADDRESS_TAKEN: "ALREADY_EXISTS",
  /** This node makes no accounts. */
  REGISTRATION_CLOSED: "PERMISSION_DENIED",
  /** The creation challenge is forged, expired, spent, or for another address. */
  CHALLENGE_INVALID: "FAILED_PRECONDITION",
  /** The stamp's work is not below the limit. */
  STAMP_INVALID: "FAILED_PRECONDITION",
  /** The method needs a session. */
  SESSION_REQUIRED: "UNAUTHENTICATED",
  /** The session has ended or never was. */
  SESSION_INVALID: "UNAUTHENTICATED",
  /** The login key is wrong. */
  LOGIN_FAILED: "UNAUTHENTICATED",
  /** The method needs the login key beside the session. */
  LOGIN_KEY_REQUIRED: "PERMISSION_DENIED",
  /** The active key set is no longer the one that the caller saw. */
  ACTIVE_KEY_SET_CHANGED: "ABORTED",
  /** The key set that signs, or that is encrypted to, no longer counts for new envelopes. */
  KEY_RETIRED: "FAILED_PRECONDITION",
  /** The envelope has expired, or is older than a delivery may take. */
  ENVELOPE_EXPIRED: "FAILED_PRECONDITION",
  /** The envelope is dated ahead of this node's clock. */
  ENVELOPE_FUTURE_DATED: "FAILED_PRECONDITION",
  /** The sender of the envelope is not the caller. */
  SENDER_MISMATCH: "PERMISSION_DENIED",
  /** Somebody else replaced the sealed contacts meanwhile. */
  CONTACTS_CHANGED: "ABORTED",
  /** The password was changed meanwhile. */
  PASSWORD_CHANGED: "ABORTED",
  /** No more key sets today, or for this account at all. */
  KEY_SET_LIMIT: "RESOURCE_EXHAUSTED",
  /** The account's quota is used up. */
  QUOTA_EXCEEDED: "RESOURCE_EXHAUSTED",
  /** Too many calls; RetryInfo says when to come back. */
  RATE_LIMITED: "RESOURCE_EXHAUSTED",
  /** The account has as many open streams as it may. */
  STREAM_LIMIT: "RESOURCE_EXHAUSTED",
  /** The domain's discovery document cannot be had right now. */
  DISCOVERY_FAILED: "UNAVAILABLE",
  /** The domain's discovery document is none. */
  DISCOVERY_DOCUMENT_INVALID: "FAILED_PRECONDITION",
  /** A peer speaks no version of the protocol that this node speaks. */
  PEER_PROTOCOL_UNSUPPORTED: "FAILED_PRECONDITION",
  /** A peer lies where this node does not connect on somebody's word. */
  PEER_ADDRESS_FORBIDDEN: "FAILED_PRECONDITION",
  /** A peer redirects where a redirect may not lead. */
  PEER_REDIRECT_REFUSED: "FAILED_PRECONDITION",
  /** A peer shows no certificate that is trusted and names it, or speaks no TLS 1.3. */
  PEER_TLS_FAILED: "FAILED_PRECONDITION",
  /** A peer cannot be connected to right now. */
  PEER_UNREACHABLE: "UNAVAILABLE",
  /** A peer gave no whole answer in time. */
  PEER_TIMEOUT: "UNAVAILABLE",
  /** A peer's answer is beyond its limit. */
  PEER_RESPONSE_TOO_LARGE: "UNAVAILABLE",
  /** A peer's answer is none of this protocol. */
  PEER_RESPONSE_INVALID: "UNAVAILABLE",
  /** A peer answered with an error of its own. */
  PEER_REFUSED: "FAILED_PRECONDITION",
  /** This node has too many look-ups under way. */
  PEER_BUSY: "UNAVAILABLE",
  /** This node gave up asking a peer. */
  PEER_CALL_CANCELLED: "UNAVAILABLE",
  /** The database cannot take or give anything right now. */
  DATABASE_UNAVAILABLE: "UNAVAILABLE",
  /** The node is stopping. */
  SHUTTING_DOWN: "UNAVAILABLE",
  /** The call took longer than its deadline. */
  DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  /** There is no such method. */
  METHOD_UNKNOWN: "UNIMPLEMENTED",
  /** A bug of this node. */
  INTERNAL: "INTERNAL",
} as const satisfies Record<string, StatusName>;

/** A reason of this node's. */
export type Reason = keyof typeof REASONS;
