#!/usr/bin/env node
// The command's way in, plain JavaScript that even an old Node reads. It sees to a Node that is new enough (a checkout
// brings one along as a development dependency), turns on the compile cache, and hands over to the command itself: the
// sources in a checkout, what they were compiled to in the published package.

import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const REQUIRED = [24, 7];
const FLUSH_AFTER_MS = 3_000;
const [major, minor] = process.versions.node.split(".").map(Number);

if (major > REQUIRED[0] || (major === REQUIRED[0] && minor >= REQUIRED[1])) {
  cacheCompiledCode();
  await import(
    existsSync(new URL("../src/cli/main.ts", import.meta.url)) ? "../src/cli/main.ts" : "../dist/cli/main.js"
  );
} else {
  await runWithOwnNode();
}

/**
 * Spares later starts the compiling, and the stripping of types. The cache is code that will run, so it lies where no other
 * user of this machine can write: not in the temporary folder, which is the default.
 */
function cacheCompiledCode() {
  module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "keypears"));
  // A node may run for months and end without notice.
  setTimeout(module.flushCompileCache, FLUSH_AFTER_MS).unref();
}

/** Runs this file again with the checkout's Node, as if it were this process. */
async function runWithOwnNode() {
  const { constants } = await import("node:os");
  const { fileURLToPath } = await import("node:url");
  const name = process.platform === "win32" ? "node.exe" : "node";
  const own = fileURLToPath(new URL(`../node_modules/node/bin/${name}`, import.meta.url));
  if (!existsSync(own)) {
    const found = process.versions.node;
    process.stderr.write(
      `keypears needs Node.js ${REQUIRED.join(".")} or later, this is ${found}: install a newer one\n`,
    );
    process.exit(1);
  }
  const { spawn } = await import("node:child_process");
  const child = spawn(own, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // A terminal sends its keys' signals to both processes; the others reach this one alone and have to be passed on.
  const fromKeys = ["SIGINT", "SIGQUIT"];
  for (const signal of [...fromKeys, "SIGTERM", "SIGHUP", "SIGUSR2"]) {
    const reachesBoth = process.stdin.isTTY && fromKeys.includes(signal);
    if (signal in constants.signals) process.on(signal, () => reachesBoth || child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`keypears cannot run its own Node.js: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
