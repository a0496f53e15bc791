/** How many streams of one account, or one source, may be open at once in one process. */

import { serviceError } from "./errors.ts";

/** The places for streams of one kind. */
export interface StreamPlaces<Owner> {
  /** Takes a place until the returned function is called. @throws ConnectError STREAM_LIMIT */
  take(owner: Owner): () => void;
}

/** Makes places, all free. Whoever has them is called `whose` when there are no more. */
export function createStreamPlaces<Owner = number>(most: number, whose = "an account"): StreamPlaces<Owner> {
  const openStreams = new Map<Owner, number>();
  return {
    take(owner) {
      const open = openStreams.get(owner) ?? 0;
      if (open >= most) {
        throw serviceError("STREAM_LIMIT", `at most ${most} such streams of ${whose} are open`);
      }
      openStreams.set(owner, open + 1);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        const left = (openStreams.get(owner) ?? 1) - 1;
        if (left > 0) openStreams.set(owner, left);
        else openStreams.delete(owner);
      };
    },
  };
}
