/** The options of `serve` and `init`, from the node's own table of options. */

import { type Command, Option } from "commander";
import { describeOptions } from "../config.ts";

/** Adds an option for each of the node's. */
export function addNodeOptions(command: Command): void {
  for (const { name, env, placeholder, repeatable, help, fallback } of describeOptions()) {
    const flags = placeholder === undefined ? `--${name}` : `--${name} <${placeholder}>`;
    const words = `${help}${fallback === undefined ? "" : ` (default: ${fallback})`}${repeatable ? "; repeatable" : ""} [${env}]`;
    if (repeatable) command.option(flags, words, (text: string, before: string[] = []) => [...before, text]);
    else command.addOption(plainOption(flags, words));
  }
}

/** An option that means what it says: for the parser `--no-listen` would take `--listen` back. */
function plainOption(flags: string, words: string): Option {
  const option = new Option(flags, words);
  option.negate = false;
  return option;
}
