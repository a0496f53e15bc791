/**
 * Where accounts were logged in to from before, in memory. Strangers can fail to log in to an address as often as the whole
 * address may; that must not lock its owner out. Each account has room for a few prefixes of its own, so that nobody
 * pushes out another's by logging in from many. A restart forgets all of it.
 */

import { LRUCache } from "lru-cache";

/** The source prefixes of earlier log-ins. */
export interface FamiliarPrefixes {
  /** Whether the account was logged in to from the prefix. */
  has(accountId: number, prefix: string): boolean;
  /** Notes that it was. */
  add(accountId: number, prefix: string): void;
}

const MAX_ACCOUNTS = 10_000;
const MAX_PREFIXES_PER_ACCOUNT = 8;

/** Knows none yet. */
export function createFamiliarPrefixes(): FamiliarPrefixes {
  const byAccount = new LRUCache<number, LRUCache<string, true>>({ max: MAX_ACCOUNTS });
  return {
    has: (accountId, prefix) => byAccount.get(accountId)?.get(prefix) === true,
    add(accountId, prefix) {
      const prefixes = byAccount.get(accountId) ?? new LRUCache({ max: MAX_PREFIXES_PER_ACCOUNT });
      prefixes.set(prefix, true);
      byAccount.set(accountId, prefixes);
    },
  };
}
