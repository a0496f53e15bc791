/** Memory of a process, which proc(5) tells on Linux. */

import { readFileSync, writeFileSync } from "node:fs";

/** What is resident now, in megabytes. */
export function residentMegabytes(pid: number): number {
  return field(pid, "VmRSS");
}

/** The most that was ever resident, or since the last call of {@link forgetPeak}, in megabytes. */
export function peakMegabytes(pid: number): number {
  return field(pid, "VmHWM");
}

/** Begins to look for the peak anew. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function field(pid: number, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(
    readFileSync(`/proc/${pid}/status`, "utf8"),
  );
  return (Number(kibibytes?.[1]) * 1_024) / 1e6;
}
