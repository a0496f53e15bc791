/** What does a command cost beside an empty Node process? Whole processes, in turn, from spawn to exit. */

import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, startNode } from "../src/cli/demo/node-process.ts";
import { type Bench, type Row, summarize } from "./result.ts";

const ROUNDS = 25;
const BIN = fileURLToPath(new URL("../bin/keypears.js", import.meta.url));
const EMPTY = "node -e 0";

/** Commands of the tool, each held against `node -e 0`. */
export const bench: Bench = {
  question: "What does a command of the tool cost beside an empty Node process?",
  async run(progress) {
    const home = await mkdtemp(join(tmpdir(), "keypears-bench-"));
    const port = await freePort();
    const resolve = new Map([["acme.test", new URL(`http://127.0.0.1:${port}`)]]);
    mkdirSync(join(home, "node"), { mode: 0o700 });
    const node = await startNode({
      domain: "acme.test",
      port,
      folder: join(home, "node"),
      resolve,
      difficulty: 2 ** 10,
    });
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      XDG_RUNTIME_DIR: home,
      KEYPEARS_RESOLVE: `acme.test=${node.origin}`,
      KEYPEARS_PASSWORD: "a password for one benchmark",
    };
    const keypears = (...args: string[]) => runNode([BIN, ...args], { env, cwd: home });
    try {
      progress("an account with one share, unlocked");
      keypears("account", "create", "alice@acme.test");
      keypears("share", "send", "alice@acme.test", "--text", "a note to myself");
      keypears("unlock");
      const commands: readonly (readonly [string, () => void])[] = [
        [EMPTY, () => runNode(["-e", "0"], { env, cwd: home })],
        ["keypears --version", () => keypears("--version")],
        ["keypears --help", () => keypears("--help")],
        ["keypears share list", () => keypears("share", "list")],
      ];
      for (const [name, run] of commands) {
        progress(name);
        run(); // warms the compile cache
      }
      const times = new Map<string, number[]>(commands.map(([name]) => [name, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (const [name, run] of round % 2 === 0 ? commands : commands.toReversed()) {
          const start = performance.now();
          run();
          times.get(name)?.push(performance.now() - start);
        }
      }
      const rows: Row[] = commands.map(([name]) => {
        const { median, spread } = summarize(times.get(name) ?? []);
        return { op: "process", implementation: name, value: median, unit: "ms", spread };
      });
      const empty = rows[0]?.value ?? Number.NaN;
      const ratios = Object.fromEntries(
        rows
          .slice(1)
          .map(({ implementation, value }) => [`growth: process: ${implementation}/${EMPTY}`, value / empty]),
      );
      return { rows, ratios };
    } finally {
      keypears("lock");
      await node.stop();
      await rm(home, { recursive: true, force: true });
    }
  },
};

/** Runs Node to its end. @throws Error with what it said on standard error, if it failed. */
function runNode(args: readonly string[], options: SpawnSyncOptions): void {
  const { status, stderr } = spawnSync(process.execPath, args, {
    ...options,
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) throw new Error(`${args.slice(1, 3).join(" ")} failed: ${stderr.toString().trim()}`);
}
