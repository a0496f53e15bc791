/**
 * How often callers may do what costs: one budget per name and key, by the generic cell rate algorithm (ITU-T I.371, annex
 * A), which is a token bucket that keeps one number per key. Memory is bounded: the keys used longest ago are forgotten.
 */

import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";

/** How a budget fills. */
export interface BudgetRate {
  /** Points that come back per second. */
  readonly perSecond: number;
  /** Most points that are ever there. */
  readonly burst: number;
  /** Whether a draw that fails takes what is there: for charges that are a penalty. */
  readonly drains?: boolean;
}

/** Budgets by name. */
export interface Budgets<Name extends string> {
  /**
   * Takes points from the budget of a key; more than its burst count as the burst.
   *
   * @returns 0 if they were there, else how long until they are, in milliseconds.
   */
  draw(name: Name, key: string, points: number): number;
}

const MAX_KEYS_PER_BUDGET = 20_000;

/** Makes full budgets. */
export function createBudgets<Name extends string>(
  rates: Readonly<Record<Name, BudgetRate>>,
  clock: Clock,
): Budgets<Name> {
  // For each key the time at which its budget is full again.
  const fullAt = new Map<Name, LRUCache<string, number>>();
  return {
    draw(name, key, points) {
      const { perSecond, burst, drains } = rates[name];
      const keys = fullAt.get(name) ?? new LRUCache({ max: MAX_KEYS_PER_BUDGET });
      fullAt.set(name, keys);
      const now = clock();
      const msPerPoint = 1_000 / perSecond;
      const emptyAt = now + burst * msPerPoint;
      // A clock that was set back must not leave a budget empty for longer than it takes to fill.
      const before = Math.min(Math.max(keys.get(key) ?? now, now), emptyAt);
      const after = before + Math.min(points, burst) * msPerPoint;
      if (after <= emptyAt) {
        keys.set(key, after);
        return 0;
      }
      if (drains === true) keys.set(key, emptyAt);
      return Math.ceil(after - emptyAt);
    },
  };
}
