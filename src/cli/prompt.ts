/**
 * Questions to a person, and passwords from wherever they may come: standard input, the environment, or a prompt. Never an
 * argument, which every user of the machine can read.
 */

import type { CommandContext } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { readNextLine } from "./standard-input.ts";

/** Whether there is a person to ask. Questions go to standard error, so that standard output can be piped. */
export function canAsk(context: CommandContext): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true && !context.passwordStdin;
}

/** The present password. @throws CliError `PASSWORD_NEEDED`. */
export async function readPassword(context: CommandContext, question: string): Promise<string> {
  if (context.password !== undefined) return context.password;
  if (context.passwordStdin) return readNextLine("the password");
  const fromEnvironment = takeVariable("KEYPEARS_PASSWORD");
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (canAsk(context)) return askSecret(question);
  throw passwordNeeded("KEYPEARS_PASSWORD");
}

/** A new password, asked for twice. @param variable where the environment may hold it. */
export async function readNewPassword(
  context: CommandContext,
  variable: "KEYPEARS_PASSWORD" | "KEYPEARS_NEW_PASSWORD",
): Promise<string> {
  if (context.passwordStdin) return readNextLine("the new password");
  const fromEnvironment = takeVariable(variable);
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (!canAsk(context)) throw passwordNeeded(variable);
  const password = await askSecret("New password");
  if ((await askSecret("The same again")) !== password) {
    throw new CliError("PASSWORDS_DIFFER", EXIT.usage, "the two passwords differ", "try again");
  }
  return password;
}

/** Asks for something that is not shown as it is typed. @throws an AbortError on Ctrl-C. */
export async function askSecret(question: string): Promise<string> {
  const { password } = await import("@clack/prompts");
  return answerOf(await password({ message: question, output: process.stderr }));
}

/** Asks for a line of text. @throws an AbortError on Ctrl-C. */
export async function askText(question: string): Promise<string> {
  const { text } = await import("@clack/prompts");
  return answerOf(await text({ message: question, output: process.stderr }));
}

/** The prompts give a symbol when they are cancelled, and nothing for an empty line. */
function answerOf(answer: string | symbol | undefined): string {
  if (typeof answer === "symbol") throw new DOMException("interrupted", "AbortError");
  return answer ?? "";
}

/** The value of a variable, which what this process starts does not inherit. */
function takeVariable(name: string): string | undefined {
  const value = process.env[name];
  delete process.env[name];
  return value === "" ? undefined : value;
}

function passwordNeeded(variable: string): CliError {
  return new CliError(
    "PASSWORD_NEEDED",
    EXIT.notSignedIn,
    "a password is needed, and there is no terminal to ask at",
    `unlock first (keypears unlock), set ${variable}, or pipe it in with --password-stdin`,
  );
}
