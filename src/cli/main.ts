/**
 * The command-line tool's first module: answers `--version` before anything else is loaded, and hands everything else on.
 * What stands between a person's key press and the answer is mostly modules, so each is loaded only where it is used.
 */

import { readFileSync } from "node:fs";

const args = process.argv.slice(2);
if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
  process.stdout.write(`keypears ${version()}\n`);
} else {
  const { run } = await import("./run.ts");
  process.exitCode = await run(args, version());
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
