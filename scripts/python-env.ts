/**
 * Makes the Python in which the tests run gRPC's own client: a virtual environment in node_modules/.cache with the packages of
 * test/interop/requirements.txt. Does nothing if it is there already.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./run.ts";

const REQUIREMENTS = join(ROOT, "test/interop/requirements.txt");
const ENVIRONMENT = join(ROOT, "node_modules/.cache/python");
/** What is installed, written when it is complete. */
const INSTALLED = join(ENVIRONMENT, "installed.txt");

if (existsSync(INSTALLED) && readFileSync(INSTALLED, "utf8") === readFileSync(REQUIREMENTS, "utf8")) {
  console.log("python-env: as test/interop/requirements.txt says");
} else {
  rmSync(ENVIRONMENT, { recursive: true, force: true });
  run("python3", "-m", "venv", ENVIRONMENT);
  run(join(ENVIRONMENT, "bin/python"), "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS);
  writeFileSync(INSTALLED, readFileSync(REQUIREMENTS));
  console.log("python-env: made");
}

function run(program: string, ...args: readonly string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? `see above (${status})`}`);
}
