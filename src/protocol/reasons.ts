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
  /** An owner's consent is malformed, not in canonical encoding, or its signature does not verify. */
  DOMAIN_AUTHORIZATION_INVALID: "INVALID_ARGUMENT",
  /** A change of a domain key is malformed, not in canonical encoding, or its signature does not verify. */
  DOMAIN_ROTATION_INVALID: "INVALID_ARGUMENT",
  /** A claim is not signed by the domain key for this node, this administrator and this challenge. */
  DOMAIN_CLAIM_INVALID: "INVALID_ARGUMENT",
  /** The domain's name is made to be taken for another, or cannot be looked up. */
  DOMAIN_NAME_MISLEADING: "INVALID_ARGUMENT",
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
  /** The domain's owner has not proven to consent to this host, or the proof does not hold. */
  DOMAIN_UNPROVEN: "FAILED_PRECONDITION",
  /** The domain proves less than it did: a lower version or serial, another body of a serial, or no DNS record any more. */
  DOMAIN_DOWNGRADED: "FAILED_PRECONDITION",
  /** The domain has another key than it had, and nothing vouches for it: it waits for 7 days, or for the operator's word. */
  DOMAIN_CHANGED: "FAILED_PRECONDITION",
  /** The domain is hosted here already, for another owner or by the node itself. */
  DOMAIN_CLAIMED: "ALREADY_EXISTS",
  /** The domain's claim does not hold any more: its users can read, and nothing new comes or goes. */
  DOMAIN_SUSPENDED: "FAILED_PRECONDITION",
  /** What the domain publishes does not bear out the claim; `check` in the metadata says which part. */
  CLAIM_UNPROVEN: "FAILED_PRECONDITION",
  /** The authorization's serial is not above the one that is known. */
  SERIAL_TOO_LOW: "FAILED_PRECONDITION",
  /** The caller does not administer the domain. */
  NOT_ADMINISTRATOR: "PERMISSION_DENIED",
  /** The address is taken, or was once. */
  ADDRESS_TAKEN: "ALREADY_EXISTS",
  /** This node makes no accounts. */
  REGISTRATION_CLOSED: "PERMISSION_DENIED",
  /** Accounts of this domain are made by invitation. */
  INVITATION_REQUIRED: "PERMISSION_DENIED",
  /** The invitation is unknown, used, revoked, expired, or for another name. */
  INVITATION_INVALID: "PERMISSION_DENIED",
  /** The name is one that a domain's staff answers to: it needs an invitation that names it. */
  NAME_RESERVED: "PERMISSION_DENIED",
  /** The account is suspended by its domain's administrator. */
  ACCOUNT_SUSPENDED: "PERMISSION_DENIED",
  /** The challenge is forged, expired, spent, or for another address or domain. */
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
  /** Health was asked about a service that the node does not have. */
  SERVICE_UNKNOWN: "NOT_FOUND",
  /** There is no such method. */
  METHOD_UNKNOWN: "UNIMPLEMENTED",
  /** A bug of this node. */
  INTERNAL: "INTERNAL",
} as const satisfies Record<string, StatusName>;

/** A reason of this node's. */
export type Reason = keyof typeof REASONS;
