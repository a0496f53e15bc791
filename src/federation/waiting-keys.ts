/**
 * Looks at domains whose new key waits (docs/protocol.md, section 2.1). A key has to be seen at least every second day for its
 * 7 days to go on, whether or not anything is delivered meanwhile; so each is looked at twice a day.
 */

import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import { DOMAIN_KEY_LOOK_MS } from "../protocol/limits.ts";
import type { PeerDomainStore } from "../storage/stores.ts";
import type { DomainChecks } from "./domain-check.ts";
import { PeerError } from "./errors.ts";

/** What it works with. */
export interface WaitingKeysOptions {
  readonly peerDomains: Pick<PeerDomainStore, "waiting">;
  readonly checks: Pick<DomainChecks, "look">;
  readonly clock: Clock;
}

const LOOK_INTERVAL_MS = DOMAIN_KEY_LOOK_MS / 4;
/** Domains in one round. Those that cannot be reached are first among the unseen, and must not be all that is looked at. */
const MAX_DOMAINS = 1_000;
const MAX_AT_ONCE = 8;

/** Makes the function that looks at every key that was not looked at lately, until the signal ends it. */
export function createWaitingKeyLooks(options: WaitingKeysOptions): (signal: AbortSignal) => Promise<void> {
  const { peerDomains, checks, clock } = options;
  const tried = new LRUCache<string, number>({ max: MAX_DOMAINS });

  const isDue = (domain: string, now: number): boolean =>
    now >= (tried.get(domain) ?? Number.NEGATIVE_INFINITY) + LOOK_INTERVAL_MS;

  return async (signal) => {
    const now = clock();
    const unseen = await peerDomains.waiting(now - LOOK_INTERVAL_MS, MAX_DOMAINS);
    const due = unseen.filter((domain) => isDue(domain, now));
    const lookInTurn = async (): Promise<void> => {
      for (let domain = due.shift(); domain !== undefined && !signal.aborted; domain = due.shift()) {
        tried.set(domain, now);
        await checks.look(domain, signal);
      }
    };
    try {
      await Promise.all(Array.from({ length: MAX_AT_ONCE }, lookInTurn));
    } catch (error) {
      if (!(error instanceof PeerError && signal.aborted)) throw error;
    }
  };
}
