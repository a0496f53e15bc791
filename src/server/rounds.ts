/** Work that a node does now and then by itself: a round after each interval, never two of one kind at once. */

/** Rounds that go on until they are closed. */
export interface Rounds {
  /** Ends the round that is under way, and waits for its end. */
  close(): Promise<void>;
}

/** Starts rounds, the first one after the interval. `failed` gets what a round throws, and the next one comes all the same. */
export function startRounds(
  intervalMs: number,
  round: (signal: AbortSignal) => Promise<void>,
  failed: (error: unknown) => void,
): Rounds {
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= round(stopping.signal)
      .catch(failed)
      .finally(() => {
        running = undefined;
      });
  }, intervalMs);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
      stopping.abort();
      await running;
    },
  };
}
