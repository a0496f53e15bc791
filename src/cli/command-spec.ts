/** How a command is described: what the parser and help need to know, and where its code is, which is loaded when it runs. */

import type { Run } from "./context.ts";

/** A command. */
export interface CommandSpec {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** For the command's own help; the summary if left out. */
  readonly description?: string;
  /** `["TO", "address …"]`, in square brackets if optional, with `...` if it may be repeated. */
  readonly arguments?: readonly (readonly [syntax: string, help: string])[];
  /** `["--out <path>", "where …"]`. */
  readonly options?: readonly (readonly [flags: string, help: string])[];
  /** Whole command lines that work. */
  readonly examples: readonly [string, ...string[]];
  /** More to know, below the examples. */
  readonly notes?: string;
  /** Asks for a password, or can: has --password-stdin. */
  readonly password?: boolean;
  /** Brings its own `--resolve`. */
  readonly ownResolve?: boolean;
  readonly load: () => Promise<Run>;
}

/** Commands under one word, such as `share`. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly CommandSpec[];
}
