/** How long to wait after failed attempts: exponential back-off with full jitter (docs/protocol.md, section 6.3). */

/** Ceiling of the first wait, in milliseconds. */
export const BACKOFF_BASE_MS = 1_000;
/** Ceiling of every wait, in milliseconds. */
export const BACKOFF_MAX_MS = 3_600_000;

/**
 * A wait in milliseconds after `failures` (1 or more) failures in a row, evenly drawn from 0 up to
 * min(1 h, 1 s · 2^(failures − 1)). `random` answers from 0 to below 1.
 */
export function backoff(failures: number, random: () => number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures - 1, 30));
  return Math.ceil(random() * ceiling);
}
