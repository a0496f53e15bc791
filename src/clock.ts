/** The time, passed in wherever it matters, so that a test can make its own. */

/** Answers with Unix milliseconds, UTC. */
export type Clock = () => number;

/** The machine's clock. */
export const systemClock: Clock = Date.now;
