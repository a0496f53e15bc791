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
  /** What a draw of one point would answer, without taking it. */
  look(name: Name, key: string): number;
}

const MAX_KEYS_PER_BUDGET = 20_000;

/** Makes full budgets. */
export function createBudgets<Name extends string>(
  rates: Readonly<Record<Name, BudgetRate>>,
  clock: Clock,
): Budgets<Name> {
  // For each key the time at which its budget is full again.
  const fullAt = new Map<Name, LRUCache<string, number>>();

  function keysOf(name: Name): LRUCache<string, number> {
    const keys = fullAt.get(name) ?? new LRUCache({ max: MAX_KEYS_PER_BUDGET });
    fullAt.set(name, keys);
    return keys;
  }

  /** When the budget would be full again after a draw, and the latest that may be. */
  function afterDraw(name: Name, key: string, points: number): { after: number; emptyAt: number } {
    const { perSecond, burst } = rates[name];
    const now = clock();
    const msPerPoint = 1_000 / perSecond;
    const emptyAt = now + burst * msPerPoint;
    const keys = keysOf(name);
    const known = keys.get(key) ?? now;
    // A clock that was set back must not leave a budget empty for longer than it takes to fill: from now on it fills.
    if (known > emptyAt) keys.set(key, emptyAt);
    const before = Math.min(Math.max(known, now), emptyAt);
    return { after: before + Math.min(points, burst) * msPerPoint, emptyAt };
  }

  return {
    draw(name, key, points) {
      const { after, emptyAt } = afterDraw(name, key, points);
      if (after <= emptyAt) {
        keysOf(name).set(key, after);
        return 0;
      }
      if (rates[name].drains === true) keysOf(name).set(key, emptyAt);
      return Math.ceil(after - emptyAt);
    },
    look(name, key) {
      const { after, emptyAt } = afterDraw(name, key, 1);
      return Math.max(0, Math.ceil(after - emptyAt));
    },
  };
}
