// docs/domains.md shows owners which commands to run: each has to be one that there is, with arguments and options that it takes.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/program.ts";
import { describeOptions } from "../../src/config.ts";

const text = readFileSync(new URL("../../docs/domains.md", import.meta.url), "utf8");
const program = await createProgram({
  args: ["serve", "init"],
  version: "0",
  signal: new AbortController().signal,
  json: false,
});

/** Command lines in blocks, and those in the running text. */
const lines = [
  ...Array.from(text.matchAll(/^\$ (keypears .+)$/gm), ([, line]) => line ?? ""),
  ...Array.from(text.matchAll(/`(keypears [a-z][^`]*)`/g), ([, line]) =>
    (line ?? "").replaceAll(/\s+/g, " "),
  ),
];

function find(words: readonly string[]): { command: Command; rest: readonly string[] } {
  let command: Command = program;
  let at = 0;
  for (; at < words.length; at++) {
    const next = command.commands.find((candidate) => candidate.name() === words[at]);
    if (next === undefined) break;
    command = next;
  }
  return { command, rest: words.slice(at) };
}

describe("docs/domains.md", () => {
  it("shows commands of every kind that a domain has", () => {
    const shown = new Set(lines.map((line) => line.split(" ").slice(1, 3).join(" ")));
    const domain = program.commands.find((command) => command.name() === "domain");

    expect(
      domain?.commands.map((command) => `domain ${command.name()}`).filter((name) => !shown.has(name)),
    ).toEqual([]);
  });

  it.each(lines)("shows a command that there is: %s", (line) => {
    const { command, rest } = find(line.split(" ").slice(1));
    const flags = rest.filter((word) => word.startsWith("--"));
    const known = command.options.map(({ long }) => long);
    const first = rest.findIndex((word) => word.startsWith("--"));
    const args = first < 0 ? rest : rest.slice(0, first);

    expect(flags.filter((flag) => !known.includes(flag))).toEqual([]);
    if (command.commands.length > 0) expect(rest).toEqual([]);
    else
      expect(args.filter((word) => word !== "…").length).toBeLessThanOrEqual(
        command.registeredArguments.length,
      );
  });

  it("names options of a node that there are", () => {
    const named = Array.from(text.matchAll(/`--((?:max|require)-[a-z-]+)/g), ([, name]) => name);
    const known = describeOptions().map(({ name }) => name);

    expect(named).not.toEqual([]);
    expect(named.filter((name) => !known.includes(name ?? ""))).toEqual([]);
  });
});
