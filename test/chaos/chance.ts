// Chance for tests that can be repeated: each prints the seed that its draws come from, and takes it again from CHAOS_SEED.
// And how much such a test goes through: little by default, a lot with CHAOS=full.

import { randomInt } from "node:crypto";

/** Draws that follow from a seed. */
export interface Chance {
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
  /** True in so many of all cases, from 0 to 1. */
  happens(share: number): boolean;
  /** One of several. */
  one<T>(of: readonly T[]): T;
  /** All of them in another order. */
  shuffled<T>(of: readonly T[]): T[];
}

/** What is there once in the short form of a test, and in another measure in the full one. */
export function measure<T>(short: T, full: T): T {
  return process.env.CHAOS === "full" ? full : short;
}

/** Chance for one test, and its seed on standard error. */
export function createChance(test: string): Chance {
  const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 32));
  process.stderr.write(`${test}: CHAOS_SEED=${seed}\n`);
  const draw = mulberry32(seed);
  const below = (bound: number) => Math.floor(draw() * bound);
  return {
    below,
    happens: (share) => draw() < share,
    one<T>(of: readonly T[]): T {
      return of[below(of.length)] as T;
    },
    shuffled<T>(of: readonly T[]): T[] {
      const left = [...of];
      return of.map(() => left.splice(below(left.length), 1)[0] as T);
    },
  };
}

/** A small generator with 32 bits of state; what it draws decides nothing but tests. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
