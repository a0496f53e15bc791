/** Lengths of time as people write them: `30m`, `8h`, `7d`, `4w`. */

import { usageError } from "./failure.ts";

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of a duration. @throws CliError `USAGE` for anything else, or more than `max` ("7d"). */
export function parseDuration(option: string, text: string, max: string): number {
  const ms = millisecondsOf(text);
  if (ms === undefined) throw usageError(`${option} must be a number with s, m, h, d or w, such as 8h`);
  if (ms > (millisecondsOf(max) ?? 0)) throw usageError(`${option} is at most ${max}`);
  return ms;
}

/** A point in time for people: local, to the second. */
export function showTime(ms: number): string {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * MINUTE_MS);
  return local.toISOString().slice(0, 19).replace("T", " ");
}

const MINUTE_MS = 60_000;

function millisecondsOf(text: string): number | undefined {
  const [, count, unit] = /^([1-9][0-9]{0,5})([smhdw])$/.exec(text) ?? [];
  return count === undefined || unit === undefined ? undefined : Number(count) * (UNITS[unit] ?? 0);
}
