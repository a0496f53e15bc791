/**
 * Which key set counts for a new envelope (docs/protocol.md, section 3.3). The same window holds for the set that signs and
 * for the set that an envelope is sealed to.
 */

import { KEY_SET_GRACE_MS, KEY_SET_GRACE_SKEW_MS } from "./limits.ts";

/** What the next set says about one. */
export interface Succession {
  /** The successor's `created_at` in Unix milliseconds; 0 while the set is active. */
  readonly supersededAt: number;
  /** Whether the successor revokes the set. */
  readonly revoked: boolean;
}

/**
 * Whether a set counts for an envelope dated `envelopeCreatedAt` that is looked at `now`: it is active, or its successor
 * is less than 4 days old, does not revoke it, and is at most 5 minutes older than the envelope.
 */
export function countsForNewEnvelopes(set: Succession, envelopeCreatedAt: number, now: number): boolean {
  if (set.supersededAt === 0) return true;
  return (
    !set.revoked &&
    now < set.supersededAt + KEY_SET_GRACE_MS &&
    envelopeCreatedAt <= set.supersededAt + KEY_SET_GRACE_SKEW_MS
  );
}
