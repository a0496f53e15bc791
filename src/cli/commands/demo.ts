/** `keypears demo`: two nodes on this machine, a secret between them, told as it happens. */

import { styleText } from "node:util";
import { printResult, type Run } from "../context.ts";
import { narrator } from "../demo/narrator.ts";
import { isAsItShouldBe, runDemo } from "../demo/run.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";

/** Runs the demo and says what it found; the exit code is 0 only if all is as it should be. */
export const run: Run = async (context, _args, options) => {
  const file = typeof options.file === "string" ? options.file : undefined;
  const report = await runDemo(narrator(context.json), { file, signal: context.signal });
  const well = isAsItShouldBe(report);
  const seconds = (report.elapsed_ms / 1_000).toFixed(1);
  printResult(
    context,
    { ...report },
    well
      ? `\n${styleText("bold", "All as it should be")}, in ${seconds} s: no server ever saw the secret, and nobody else could send it.`
      : `\n${styleText("bold", "Something is not as it should be")}: look at the steps marked ✗.`,
  );
  if (!well) {
    throw new CliError(
      "DEMO_FAILED",
      EXIT.unexpected,
      "the demo found something that is not as it should be",
    );
  }
};
