/**
 * A sign of life on standard error for work that takes longer than a moment: a spinner for the password, a bar with the time
 * that is left for stamps and large files. Only at a terminal, and never with `--json`.
 */

import type { Progress, WorkOptions } from "../client/sign-in.ts";
import type { CommandContext } from "./context.ts";

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const FRAME_MS = 80;
/** What ends before this is not shown at all. */
const SHOW_AFTER_MS = 400;
const BAR_CELLS = 20;
const CLEAR_LINE = "\r\u001b[2K";

/** Runs work under a sign of life. */
export async function withProgress<T>(
  context: CommandContext,
  label: string,
  work: (options: WorkOptions) => Promise<T>,
): Promise<T> {
  let text = label;
  const stop = showStatus(context, () => text);
  try {
    let stampStarted: number | undefined;
    return await work({
      signal: context.signal,
      onProgress(progress) {
        if (progress.step === "stamp") stampStarted ??= performance.now();
        text = describe(progress, performance.now() - (stampStarted ?? 0), label);
      },
    });
  } finally {
    stop();
  }
}

/** Shows what `describe` says until the returned function is called. */
export function showStatus(context: CommandContext, describe: () => string): () => void {
  if (context.json || process.stderr.isTTY !== true) return () => {};
  const started = performance.now();
  let frame = 0;
  let shown = false;
  const timer = setInterval(() => {
    if (performance.now() - started < SHOW_AFTER_MS) return;
    shown = true;
    // A line that wraps could not be cleared.
    const text = describe().slice(0, Math.max((process.stderr.columns || 80) - 3, 1));
    process.stderr.write(`${CLEAR_LINE}${FRAMES[frame++ % FRAMES.length]} ${text}`);
  }, FRAME_MS);
  return () => {
    clearInterval(timer);
    if (shown) process.stderr.write(CLEAR_LINE);
  };
}

/** A bar, filled to a part from 0 to 1. */
export function bar(done: number): string {
  const cells = Math.round(done * BAR_CELLS);
  return "█".repeat(cells) + "░".repeat(BAR_CELLS - cells);
}

/** What a step of work looks like after so many milliseconds. */
export function describe(progress: Progress, elapsedMs: number, label: string): string {
  if (progress.step === "password") return "stretching the password";
  const { tries, expected } = progress;
  // Luck decides: after n tries of n expected, 63 in 100 stamps are done, and what is left to expect is as much again.
  const done = 1 - Math.exp(-tries / expected);
  const seconds = tries === 0 ? undefined : Math.ceil((expected / tries) * (elapsedMs / 1_000));
  return `${label}: working on a stamp ${bar(done)}${seconds === undefined ? "" : ` about ${seconds} s`}`;
}
