/**
 * Sizes, counts and periods that the protocol fixes (docs/protocol.md, sections 2, 3, 5, 6 and 10). What an operator may
 * change is in the node's configuration; what stands here is the same for everyone. The file imports nothing, so that a
 * command can name a limit without loading any cryptography.
 */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Node keys that one authorization may name (section 2.1). */
export const MAX_AUTHORIZED_NODE_KEYS = 4;
/** How long an authorization may hold, in milliseconds (section 2.1). */
export const MAX_AUTHORIZATION_MS = 398 * DAY;
/** How far ahead of the reader's clock an authorization may begin and still hold, in milliseconds (section 2.1). */
export const AUTHORIZATION_CLOCK_SKEW_MS = 5 * MINUTE;
/** Changes of the domain key that one proof may carry (section 2.1). */
export const MAX_DOMAIN_KEY_ROTATIONS = 16;
/** How far a proof's time may lie from the asker's clock, in milliseconds (section 2.1). */
export const DOMAIN_PROOF_CLOCK_SKEW_MS = 5 * MINUTE;
/** Proofs that a node signs within a second (section 2.1). */
export const DOMAIN_PROOFS_PER_SECOND = 10;
/** How long what a domain has proven is remembered, in milliseconds after its last good proof (section 2.1). */
export const DOMAIN_MEMORY_MS = 30 * DAY;
/** How long a domain key that nothing vouches for has to stand until it counts, in milliseconds (section 2.1). */
export const DOMAIN_KEY_WAIT_MS = 7 * DAY;
/** How far two looks at such a key may lie apart for it to have stood meanwhile, in milliseconds (section 2.1). */
export const DOMAIN_KEY_LOOK_MS = 2 * DAY;
/** How long a claim's challenge is good, in milliseconds (section 2.1). */
export const DOMAIN_CLAIM_MS = 15 * MINUTE;
/** How long before a node changes its key the next one is told, in milliseconds (section 2.1). */
export const NODE_KEY_LEAD_MS = 30 * DAY;
/** How long an invitation is good where its maker says nothing, in milliseconds (section 5). */
export const DEFAULT_INVITATION_MS = 7 * DAY;
/** How long an invitation may be good, in milliseconds (section 5). */
export const MAX_INVITATION_MS = 30 * DAY;

/** Highest number of a key set, and so the number of sets that an address can ever have (section 3). */
export const MAX_KEY_SET_NUMBER = 100;
/** Key sets that an account may publish within 24 hours (section 3.1). */
export const MAX_KEY_SETS_PER_DAY = 5;
/** How far a new key set's `created_at` may lie from the node's clock, in milliseconds (section 3.1). */
export const KEY_SET_CLOCK_SKEW_MS = 5 * MINUTE;
/** How long a superseded key set still counts for new envelopes, in milliseconds after its successor (section 3.3). */
export const KEY_SET_GRACE_MS = 4 * DAY;
/** How far after its successor's `created_at` an envelope may be dated that a superseded set signs (section 3.3). */
export const KEY_SET_GRACE_SKEW_MS = 5 * MINUTE;
/** How long "which set is active" may be cached, in milliseconds (section 3.3). */
export const ACTIVE_NUMBER_TTL_MS = 5 * MINUTE;
/** At most one fetch per address within this time for an unknown higher number, in milliseconds (section 3.3). */
export const UNKNOWN_NUMBER_INTERVAL_MS = 10 * SECOND;

/** Size of an envelope, header, ciphertext and signature together, in bytes (section 6.1). */
export const MAX_ENVELOPE_BYTES = 256 * 1024;
/** Envelopes in one delivery request (section 6.3). */
export const MAX_DELIVERY_ENVELOPES = 256;
/** Size of a serialized request with a session, or of a delivery, in bytes (section 10). */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** Size of any other serialized request, in bytes (section 10). */
export const MAX_ANONYMOUS_REQUEST_BYTES = 1024 * 1024;
/** Look-ups in one BatchGetKeySets request (section 10). */
export const MAX_BATCH_LOOKUPS = 100;
/** How far ahead of the receiving node's clock an envelope may be dated, in milliseconds (section 6.3). */
export const ENVELOPE_FUTURE_SKEW_MS = 5 * MINUTE;
/** How old an envelope may be when it is delivered, in milliseconds (section 6.3). */
export const ENVELOPE_MAX_AGE_MS = 7 * DAY;
/** Latest expiry of an envelope, in milliseconds after its `created_at` (section 6.1). */
export const ENVELOPE_MAX_LIFETIME_MS = 365 * DAY;
/** How long after its `created_at` an accepted envelope's id is remembered, in milliseconds (section 6.3). */
export const TOMBSTONE_MS = ENVELOPE_MAX_AGE_MS + ENVELOPE_FUTURE_SKEW_MS;
/** How long the outbox tries to deliver an envelope, in milliseconds after its `created_at` (section 6.3). */
export const DELIVERY_WINDOW_MS = 3 * DAY;

/** First contacts that a recipient takes from one sender domain within 24 hours (section 6.4). */
export const MAX_FIRST_CONTACTS_PER_DAY = 20;
/** Difficulty of a first contact's stamp where the operator sets none (section 6.4). */
export const DEFAULT_STAMP_DIFFICULTY = 2 ** 22;
/** Highest difficulty that a sender has to accept (section 6.4). */
export const MAX_STAMP_DIFFICULTY = 2 ** 28;

/** A session ends when it has not been used for this long, in milliseconds (section 5). */
export const SESSION_IDLE_MS = 30 * DAY;
/** A session ends this long after it was opened, in milliseconds (section 5). */
export const SESSION_MAX_MS = 365 * DAY;

/** Size of the sealed contacts, in bytes. */
export const MAX_SEALED_CONTACTS_BYTES = 1024 * 1024;
/** Length of a device name, in UTF-16 code units. */
export const MAX_DEVICE_NAME_LENGTH = 100;
