/**
 * Runs Connect's conformance suite (connectrpc.com/conformance) against the node's server: every case for the protocols, codecs
 * and versions of HTTP in test/conformance/config.yaml, and no list of cases that may fail. Go builds the suite; without Go there
 * is nothing to run. Arguments go to the suite, such as `--trace` or `--run PATTERN`.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { installWithGo, isGoInstalled, ROOT } from "./run.ts";

/** The suite's messages in third_party/conformance are of this version too. */
const SUITE_VERSION = "v1.0.7";
const SUITE = join(ROOT, "node_modules/.cache/conformance", SUITE_VERSION);
const RUNNER = join(SUITE, "connectconformance");

if (existsSync(RUNNER) || isGoInstalled()) {
  build();
  process.exitCode = run();
} else {
  console.log("conformance: SKIPPED, because Go, which builds the suite, is not installed");
}

function build(): void {
  if (existsSync(RUNNER)) return;
  console.log(`conformance: building the suite ${SUITE_VERSION}, which takes a minute or two`);
  installWithGo(`connectrpc.com/conformance/cmd/connectconformance@${SUITE_VERSION}`, SUITE);
}

/** Runs the suite with its output on this terminal. Its exit status. */
function run(): number {
  const config = join(ROOT, "test/conformance/config.yaml");
  const server = [process.execPath, join(ROOT, "test/conformance/server.ts")];
  // One server at a time: each has ten seconds to start, which several on a busy machine may not keep.
  const options = ["--mode", "server", "--conf", config, "--max-servers", "1", ...process.argv.slice(2)];
  return spawnSync(RUNNER, [...options, "--", ...server], { stdio: "inherit" }).status ?? 1;
}
