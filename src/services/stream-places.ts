/** How many streams of one account may be open at once in one process. */

import { serviceError } from "./errors.ts";

/** The places for streams of one kind. */
export interface StreamPlaces {
  /** Takes a place until the returned function is called. @throws ConnectError STREAM_LIMIT */
  take(accountId: number): () => void;
}

/** Makes places, all free. */
export function createStreamPlaces(perAccount: number): StreamPlaces {
  const openStreams = new Map<number, number>();
  return {
    take(accountId) {
      const open = openStreams.get(accountId) ?? 0;
      if (open >= perAccount) {
        throw serviceError("STREAM_LIMIT", `at most ${perAccount} such streams of an account are open`);
      }
      openStreams.set(accountId, open + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = (openStreams.get(accountId) ?? 1) - 1;
        if (left > 0) openStreams.set(accountId, left);
        else openStreams.delete(accountId);
      };
    },
  };
}
