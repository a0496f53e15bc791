/** How the scripts of this folder run other programs. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Runs one of the programs that npm installed, with its output on this terminal. True if it succeeded. */
export function runTool(name: string, ...args: readonly string[]): boolean {
  return spawnSync(`${ROOT}node_modules/.bin/${name}`, args, { cwd: ROOT, stdio: "inherit" }).status === 0;
}

/** What git prints for the arguments, without the last line's end; undefined if it fails. */
export function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  return status === 0 ? stdout.trimEnd() : undefined;
}
