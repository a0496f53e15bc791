/**
 * What happens to accounts, told to the streams that watch them: in this process at once, in the others that share the
 * database by way of hints. An event is a hint itself: whoever misses one finds the news in the database at the next poll.
 */

import { type Hints, noHints } from "../hints.ts";

/** Something that a stream of an account wants to know at once. */
export type AccountEvent =
  | { readonly kind: "share" }
  | { readonly kind: "notice" }
  | { readonly kind: "session-ended"; readonly sessionId: string };

/** A hub of events by account. */
export interface AccountEvents {
  /** Tells everyone who listens to the account, here and elsewhere. */
  emit(accountId: number, event: AccountEvent): void;
  /** Listens to an account until the returned function is called. */
  listen(accountId: number, listener: (event: AccountEvent) => void): () => void;
}

/** Makes a hub that hears what happens elsewhere, and tells it, for as long as the hints are open. */
export function createAccountEvents(hints: Hints = noHints()): AccountEvents {
  const listeners = new Map<number, Set<(event: AccountEvent) => void>>();

  function tell(accountId: number, event: AccountEvent): void {
    for (const listener of listeners.get(accountId) ?? []) listener(event);
  }

  // What comes from elsewhere goes no further than this process, or it would never end.
  hints.listen((hint) => {
    if ("accountId" in hint) tell(hint.accountId, hint);
  });
  return {
    emit(accountId, event) {
      tell(accountId, event);
      // Nobody waits for it: a stream elsewhere that hears it late has lost nothing.
      void hints.send({ ...event, accountId });
    },
    listen(accountId, listener) {
      const ofAccount = listeners.get(accountId) ?? new Set();
      listeners.set(accountId, ofAccount.add(listener));
      return () => {
        ofAccount.delete(listener);
        if (ofAccount.size === 0 && listeners.get(accountId) === ofAccount) listeners.delete(accountId);
      };
    },
  };
}
