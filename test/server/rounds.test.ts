import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startRounds } from "../../src/server/rounds.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("a round comes after each interval, and none while the last one is under way", async () => {
  const ends: (() => void)[] = [];
  const rounds = startRounds(
    1_000,
    () => new Promise((resolve) => void ends.push(resolve)),
    () => {},
  );
  expect(ends).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(ends).toHaveLength(1);
  ends[0]?.();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(ends).toHaveLength(2);
  ends[1]?.();
  await rounds.close();
});

it("a round that fails is told about, and the next one comes all the same", async () => {
  const failures: unknown[] = [];
  const problem = new Error("no database");
  const rounds = startRounds(
    1_000,
    async () => {
      throw problem;
    },
    (error) => failures.push(error),
  );
  await vi.advanceTimersByTimeAsync(2_000);
  expect(failures).toEqual([problem, problem]);
  await rounds.close();
});

it("an end aborts the round that is under way and waits for it", async () => {
  let ended = false;
  const rounds = startRounds(
    1_000,
    async (signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended = true;
    },
    () => {},
  );
  await vi.advanceTimersByTimeAsync(1_000);
  await rounds.close();
  expect(ended).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
