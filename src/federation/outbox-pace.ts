/**
 * How much is sent to a destination before its answers are there: more for as long as answers come quickly and decide
 * something, half when they do not, a quarter when a batch fails as a whole, so that a batch which a peer cannot take gets
 * smaller until it can (additive increase and multiplicative decrease, as in RFC 5681).
 */

/** The pace of one destination. */
export interface Pace {
  /** Envelopes that may be under way at once. */
  window(): number;
  /** A batch was answered, and so many of its envelopes were put off. Times are those of `performance.now()`. */
  answered(batch: { readonly envelopes: number; readonly putOff: number; readonly sentAt: number }): void;
  /** A batch was not answered, or refused as a whole. */
  failed(sentAt: number): void;
  /** Whether the peer has put off whatever it was sent lately. */
  isPutOff(): boolean;
}

/** As much as a receiving node takes of one stream before it has decided something (docs/protocol.md, section 6.3). */
export const MAX_WINDOW = 1_024;
const FIRST_WINDOW = 128;
/** With eight batches at once, one envelope each. */
const MIN_WINDOW = 8;
/** Answers later than the one are no reason to send more; later than the other, one to send less. */
const QUICK_MS = 2_000;
const SLOW_MS = 5_000;
/** Fewer may all be for one recipient, who gets too much. */
const PUT_OFF_ENVELOPES = 32;

/** A pace to begin with. */
export function createPace(): Pace {
  let window = FIRST_WINDOW;
  let shrunkAt = Number.NEGATIVE_INFINITY;
  let putOffInRow = 0;

  function shrink(sentAt: number, divisor: number): void {
    // What was sent before tells of the former window.
    if (sentAt < shrunkAt) return;
    window = Math.max(MIN_WINDOW, Math.floor(window / divisor));
    shrunkAt = performance.now();
  }

  return {
    window: () => window,
    answered({ envelopes, putOff, sentAt }) {
      const tookMs = performance.now() - sentAt;
      putOffInRow = putOff === envelopes ? putOffInRow + putOff : 0;
      if (putOff > envelopes / 2 || tookMs > SLOW_MS) shrink(sentAt, 2);
      else if (tookMs < QUICK_MS) window = Math.min(MAX_WINDOW, window + envelopes);
    },
    failed: (sentAt) => shrink(sentAt, 4),
    isPutOff: () => putOffInRow >= PUT_OFF_ENVELOPES,
  };
}
