/** Runs one command line, and says how it ended: the exit code, and on standard error what went wrong. */

import type { Command, CommanderError } from "commander";
import { EXIT } from "./exit-codes.ts";
import { type Failure, failureOf, tellFailure } from "./failure.ts";
import { commandWords, createProgram } from "./program.ts";

/** Runs the command that the arguments name. Resolves with the exit code; never rejects. */
export async function run(given: readonly string[], version: string): Promise<number> {
  const args = explained(given);
  // Asked for before the command line is understood, so that its own errors come in the right form too.
  const json = args.includes("--json");
  const interruption = new AbortController();
  const interrupt = () => {
    if (interruption.signal.aborted) process.exit(EXIT.interrupted); // the second time, at once
    interruption.abort();
  };
  process.on("SIGINT", interrupt);
  // A reader that has had enough, such as head, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.unexpected);
  });
  let program: Command | undefined;
  try {
    program = await createProgram({ args, version, signal: interruption.signal, json });
    await program.parseAsync(args, { from: "user" });
    return EXIT.ok;
  } catch (error) {
    const failure = isCommanderError(error)
      ? failureOfUsage(error, program && commandWords(program, args))
      : failureOf(error);
    if (failure === undefined) return EXIT.ok;
    tellFailure(failure, json);
    return failure.exitCode;
  } finally {
    process.off("SIGINT", interrupt);
  }
}

/** `help share open` and `share help open` as `share open --help`, whatever the depth. */
function explained(args: readonly string[]): readonly string[] {
  const at = args.indexOf("help");
  const words = args.filter((_, index) => index !== at);
  return at >= 0 && at < 2 && words.length > 0 && words[0] !== "exit-codes" ? [...words, "--help"] : args;
}

function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && "code" in error && String(error.code).startsWith("commander.");
}

/** What the parser objects to; undefined where it only printed what was asked for. */
function failureOfUsage(
  { code, exitCode, message }: CommanderError,
  words: readonly string[] = [],
): Failure | undefined {
  const help = ["keypears help", ...words].join(" ");
  if (exitCode === 0) return undefined;
  if (code === "commander.help") {
    return {
      reason: "USAGE",
      message: "the command is not complete",
      exitCode: EXIT.usage,
      next: `see what there is: ${help}`,
    };
  }
  const [problem = "", hint] = message.replace(/^error: /, "").split("\n");
  const next = hint?.replace(/^\((.*)\)$/, "$1") ?? `see: ${help}`;
  return { reason: "USAGE", message: problem, exitCode: EXIT.usage, next };
}
