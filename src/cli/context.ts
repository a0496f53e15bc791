/** What every command gets: the options that all of them share, where to print, and how to learn that it should stop. */

import { dnsServerTexts } from "./dns-server-option.ts";
import { resolveTexts } from "./resolve-option.ts";

/** What a command runs in. */
export interface CommandContext {
  /** One JSON object on standard output, and nothing else. */
  readonly json: boolean;
  /** Name of the profile: one account on this device. */
  readonly profile: string;
  /** `NAME=ORIGIN` of development resolution, from the options or the environment. */
  readonly resolve: readonly string[];
  /** DNS servers in place of the system's, from the options or the environment. */
  readonly dnsServers: readonly string[];
  readonly passwordStdin: boolean;
  /** The password, where a command has asked for it already. */
  readonly password?: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly version: string;
}

/** A command, after its arguments were read. */
export type Run = (
  context: CommandContext,
  args: readonly (string | readonly string[] | undefined)[],
  options: Readonly<Record<string, unknown>>,
) => Promise<void>;

/** Puts the context together from a command's options. */
export function createContext(
  options: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  version: string,
): CommandContext {
  return {
    json: options.json === true,
    profile: typeof options.profile === "string" ? options.profile : "default",
    resolve: resolveTexts(options.resolve),
    dnsServers: dnsServerTexts(options.dnsServer),
    passwordStdin: options.passwordStdin === true,
    signal,
    version,
  };
}

/** Prints the result of a command: the object with `--json`, else the text. */
export function printResult(
  context: CommandContext,
  result: Readonly<Record<string, unknown>>,
  text: string,
): void {
  if (context.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (text !== "") process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** Says something beside the result, on standard error; nothing with `--json`. */
export function note(context: CommandContext, text: string): void {
  if (!context.json) process.stderr.write(`${text}\n`);
}
