/** How the scripts of this folder run other programs. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Runs one of the programs that npm installed, with its output on this terminal. True if it succeeded. */
export function runTool(name: string, ...args: readonly string[]): boolean {
  return spawnSync(`${ROOT}node_modules/.bin/${name}`, args, { cwd: ROOT, stdio: "inherit" }).status === 0;
}

/** Whether Go is installed. */
export function isGoInstalled(): boolean {
  return spawnSync("go", ["version"]).status === 0;
}

/** Builds a program of Go, such as "example.com/tool@v1.0.0", into a folder. @throws Error when Go cannot. */
export function installWithGo(program: string, folder: string): void {
  const options = { stdio: "inherit", env: { ...process.env, GOBIN: folder } } as const;
  if (spawnSync("go", ["install", program], options).status !== 0) {
    throw new Error(`${program} could not be built: see what Go says above`);
  }
}

/** What git prints for the arguments, without the last line's end; undefined if it fails. */
export function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
  return status === 0 ? stdout.trimEnd() : undefined;
}
