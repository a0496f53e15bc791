/**
 * Measures alternatives side by side: round after round, each in turn and the order turned about, so that a machine that
 * slows down or speeds up does so for all of them.
 */

import { summarize } from "./result.ts";

/** One alternative. `run` does the work `times` times. */
export interface Candidate {
  readonly name: string;
  run(times: number): void | Promise<void>;
}

/** What was measured of one alternative. */
export interface Measurement {
  readonly name: string;
  /** Median time of one piece of work, in seconds. */
  readonly seconds: number;
  readonly spread: number;
}

/** How long and how often. */
export interface InterleaveOptions {
  readonly rounds?: number;
  /** Least time of one alternative's share of a round, in milliseconds. */
  readonly roundMs?: number;
}

/** Measures every candidate in every round. */
export async function interleave(
  candidates: readonly Candidate[],
  options: InterleaveOptions = {},
): Promise<Measurement[]> {
  const { rounds = 15, roundMs = 40 } = options;
  const times = new Map<Candidate, number>();
  for (const candidate of candidates) times.set(candidate, await calibrate(candidate, roundMs));
  const figures = new Map<Candidate, number[]>(candidates.map((candidate) => [candidate, []]));
  for (let round = 0; round < rounds; round++) {
    for (const candidate of round % 2 === 0 ? candidates : candidates.toReversed()) {
      const count = times.get(candidate) ?? 1;
      figures.get(candidate)?.push((await time(candidate, count)) / count);
    }
  }
  return candidates.map((candidate) => {
    const { median, spread } = summarize(figures.get(candidate) ?? []);
    return { name: candidate.name, seconds: median, spread };
  });
}

/** How many times the work has to be done to fill a round. Warms the candidate up on the way. */
async function calibrate(candidate: Candidate, roundMs: number): Promise<number> {
  let times = 1;
  for (;;) {
    const seconds = await time(candidate, times);
    if (seconds * 1_000 >= roundMs / 2) return Math.max(1, Math.round((times * roundMs) / (seconds * 1_000)));
    times *= 2;
  }
}

/** Seconds that the work takes. */
async function time(candidate: Candidate, times: number): Promise<number> {
  const start = performance.now();
  await candidate.run(times);
  return (performance.now() - start) / 1_000;
}
