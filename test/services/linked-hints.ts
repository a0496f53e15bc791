// Hints between two processes that are both here: what one sends the other hears at once, unless the road is cut.

import type { Hint, Hints } from "../../src/hints.ts";

/** The road between two processes. */
export interface LinkedHints {
  readonly ours: Hints;
  readonly theirs: Hints;
  /** Whatever was sent, by either. */
  readonly sent: Hint[];
  /** Loses what is sent from now on. */
  cut(): void;
  /** Lets hints arrive again; both learn that they may have missed some. */
  mend(): void;
}

/** Links two processes. */
export function linkHints(): LinkedHints {
  const sent: Hint[] = [];
  let connected = true;

  function end() {
    return { listeners: new Set<(hint: Hint) => void>(), gapListeners: new Set<() => void>() };
  }
  function subscribe<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }
  function hintsOf(own: ReturnType<typeof end>, other: ReturnType<typeof end>): Hints {
    return {
      async send(hint) {
        sent.push(hint);
        if (connected) for (const listener of other.listeners) listener(hint);
      },
      listen: (listener) => subscribe(own.listeners, listener),
      onGap: (listener) => subscribe(own.gapListeners, listener),
      get connected() {
        return connected;
      },
      async close() {
        own.listeners.clear();
        own.gapListeners.clear();
      },
    };
  }

  const [one, two] = [end(), end()];
  return {
    ours: hintsOf(one, two),
    theirs: hintsOf(two, one),
    sent,
    cut: () => {
      connected = false;
    },
    mend: () => {
      connected = true;
      for (const { gapListeners } of [one, two]) for (const listener of gapListeners) listener();
    },
  };
}
