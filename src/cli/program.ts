/** The whole command line: every command with its arguments, options and examples, and nothing of what they do. */

import { Command, type Help } from "commander";
import type { CommandGroup, CommandSpec } from "./command-spec.ts";
import { COMMANDS, GROUPS } from "./commands.ts";
import { createContext } from "./context.ts";
import { EXIT_CODE_MEANINGS } from "./exit-codes.ts";

/** What the command line is made for. */
export interface ProgramOptions {
  readonly args: readonly string[];
  readonly version: string;
  readonly signal: AbortSignal;
  /** Standard error is for one JSON object: no help on it. */
  readonly json: boolean;
}

/** Builds the parser. It throws where a program would exit. */
export async function createProgram(options: ProgramOptions): Promise<Command> {
  const program = strict(new Command("keypears"), options)
    .description(
      "Send anyone at any domain a secret that only they can open, and run the node that delivers it.",
    )
    .version(`keypears ${options.version}`, "-V, --version", "print the version")
    .configureHelp(HELP)
    .addHelpText("after", EXAMPLES)
    .helpCommand("help [COMMAND]", "explain a command, or exit-codes");
  for (const group of GROUPS) addGroup(program, group, options);
  for (const spec of COMMANDS) addCommand(program, spec, options);
  const exitCodes = new Command("exit-codes").description("How the tool ends").helpOption(false);
  strict(exitCodes, options).configureHelp({ formatHelp: () => exitCodeHelp() });
  program.addCommand(
    exitCodes.action(() => exitCodes.help()),
    { hidden: true },
  );
  // Only these commands have the node's options, whose table takes longer to load than all the rest of this.
  if (options.args.includes("serve") || options.args.includes("init")) {
    const { addNodeOptions } = await import("./node-options.ts");
    for (const name of ["serve", "init"]) {
      const command = program.commands.find((candidate) => candidate.name() === name);
      if (command) addNodeOptions(command);
    }
  }
  return program;
}

const EXAMPLES = `
Examples:
  $ keypears account create alice@acme.example
  $ keypears share send bob@partner.example API_KEY=-
  $ keypears share list
  $ keypears share open 3f9a1c20

Every command takes --json, --profile and --help. How the tool ends: keypears help exit-codes`;

const HELP: Partial<Help> = { sortSubcommands: false };
const HELP_WIDTH = 80;

function addGroup(
  program: Command,
  { name, summary, commands }: CommandGroup,
  options: ProgramOptions,
): void {
  const group = strict(program.command(name), options)
    .summary(summary)
    .description(sentence(summary))
    .configureHelp(HELP)
    .helpCommand(false);
  for (const spec of commands) addCommand(group, spec, options);
  group.addHelpText("after", `\nExample:\n  $ ${commands[0]?.examples[0]}`);
}

function addCommand(parent: Command, spec: CommandSpec, options: ProgramOptions): void {
  const command = strict(parent.command(spec.name), options)
    .summary(spec.summary)
    .description(spec.description ?? sentence(spec.summary))
    .configureHelp(HELP);
  for (const [syntax, help] of spec.arguments ?? []) command.argument(syntax, help);
  for (const [flags, help] of spec.options ?? []) command.option(flags, help);
  command.option("--json", "print one JSON object on standard output; errors as JSON on standard error");
  command.option("--profile <name>", "the account on this device to use", "default");
  if (spec.password)
    command.option("--password-stdin", "read the password from the first line of standard input");
  if (!spec.ownResolve) {
    command.option(
      "--resolve <name=origin>",
      "development: where a domain lies on this machine, such as acme.test=http://127.0.0.1:4273; repeatable",
      (text: string, before: string[] = []) => [...before, text],
    );
    command.option(
      "--dns-server <address>",
      "DNS server to ask in place of the system's, such as 192.0.2.53 or 192.0.2.53:5353; repeatable",
      (text: string, before: string[] = []) => [...before, text],
    );
  }
  const examples = spec.examples.map((example) => `  $ ${example}`).join("\n");
  const notes = spec.notes ? `\n\n${command.createHelp().boxWrap(spec.notes, HELP_WIDTH)}` : "";
  const title = spec.examples.length > 1 ? "Examples" : "Example";
  command.addHelpText("after", `\n${title}:\n${examples}${notes}`);
  command.action(async (...received: unknown[]) => {
    const execute = await spec.load();
    const values = command.opts();
    const args = received.slice(0, command.registeredArguments.length) as Parameters<typeof execute>[1];
    await execute(createContext(values, options.signal, options.version), args, values);
  });
}

/** The words of a command line that name a command, such as `share open`. */
export function commandWords(program: Command, args: readonly string[]): string[] {
  const words: string[] = [];
  let command: Command | undefined = program;
  for (const word of args) {
    command = command?.commands.find((candidate) => candidate.name() === word);
    if (!command) break;
    words.push(word);
  }
  return words;
}

/** The parser throws instead of ending the process, and leaves it to the caller to tell about errors. */
function strict(command: Command, { json }: ProgramOptions): Command {
  return command
    .exitOverride()
    .configureOutput({ outputError: () => undefined, ...(json && { writeErr: () => undefined }) })
    .showSuggestionAfterError(true);
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function exitCodeHelp(): string {
  const rows = EXIT_CODE_MEANINGS.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`);
  return `Exit codes:\n${rows.join("\n")}

With --json an error is one object on standard error: {"error":{"reason","message","exitCode","next"}}. Standard output
then stays empty, but for what \`hash\` and \`discover\` found out. Reasons of nodes are listed in docs/protocol.md, section 9.
`;
}
