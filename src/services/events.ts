/**
 * What happens to accounts, told to the streams that watch them within this process. An event is a hint: whoever misses one
 * finds the news in the database at the next poll.
 */

/** Something that a stream of an account wants to know at once. */
export type AccountEvent =
  | { readonly kind: "share" }
  | { readonly kind: "notice" }
  | { readonly kind: "session-ended"; readonly sessionId: string };

/** A hub of events by account. */
export interface AccountEvents {
  /** Tells everyone who listens to the account. */
  emit(accountId: number, event: AccountEvent): void;
  /** Listens to an account until the returned function is called. */
  listen(accountId: number, listener: (event: AccountEvent) => void): () => void;
}

/** Makes a hub. */
export function createAccountEvents(): AccountEvents {
  const listeners = new Map<number, Set<(event: AccountEvent) => void>>();
  return {
    emit(accountId, event) {
      for (const listener of listeners.get(accountId) ?? []) listener(event);
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
