import { afterAll, describe, expect, it, vi } from "vitest";
import { COMMANDS, GROUPS } from "../../src/cli/commands.ts";
import { EXIT_CODE_MEANINGS } from "../../src/cli/exit-codes.ts";
import { makeTool } from "./tool.ts";

vi.setConfig({ testTimeout: 60_000 });

const tool = makeTool();
afterAll(() => tool.remove());

const commands = [
  ...COMMANDS.map((spec) => ({ words: [spec.name], spec })),
  ...GROUPS.flatMap(({ name, commands }) => commands.map((spec) => ({ words: [name, spec.name], spec }))),
];

describe("help", () => {
  it.each(commands)(
    "explains $words with a description and an example that names it",
    async ({ words, spec }) => {
      const { code, stdout, stderr } = await tool.run([...words, "--help"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`Usage: keypears ${words.join(" ")}`);
      expect(stdout).toMatch(/Examples?:\n {2}\$ /);
      expect(stdout).toContain("--json");
      expect(stdout).toContain("--profile <name>");
      expect(spec.summary).toMatch(/^[a-z]/);
      for (const example of spec.examples) expect(example).toContain(`keypears ${words.join(" ")}`);
    },
  );

  it("gives the same for `help share open`, `share help open` and `share open --help`", async () => {
    const [first, ...others] = await Promise.all([
      tool.run(["share", "open", "--help"]),
      tool.run(["help", "share", "open"]),
      tool.run(["share", "help", "open"]),
    ]);
    for (const other of others) expect(other).toEqual(first);
  });

  it("lists every command and points to the exit codes", async () => {
    const { code, stdout } = await tool.run(["--help"]);
    expect(code).toBe(0);
    for (const { name } of [...GROUPS, ...COMMANDS]) expect(stdout).toContain(`\n  ${name} `);
    expect(stdout).toContain("keypears help exit-codes");
  });

  it("explains every exit code, each with one meaning", async () => {
    const { code, stdout } = await tool.run(["help", "exit-codes"]);
    expect(code).toBe(0);
    for (const [exitCode, meaning] of EXIT_CODE_MEANINGS)
      expect(stdout).toMatch(new RegExp(`^ +${exitCode}  ${meaning}$`, "m"));
    expect(new Set(EXIT_CODE_MEANINGS.map(([exitCode]) => exitCode)).size).toBe(EXIT_CODE_MEANINGS.length);
  });

  it("shows the node's options for serve, each with its variable", async () => {
    const { stdout } = await tool.run(["help", "serve"]);
    expect(stdout).toContain("--tls-cert <FILE>");
    expect(stdout).toContain("[KEYPEARS_TLS_CERT]");
  });

  it("warns in the help of share send that arguments can be read by others", async () => {
    const { stdout } = await tool.run(["share", "send", "--help"]);
    expect(stdout.replace(/\s+/g, " ")).toContain("can be read by every user of this machine");
  });
});
