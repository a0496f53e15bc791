/**
 * `npm run bench -- NAME [--json]` runs one benchmark; `npm run bench -- --report [NAME…]` runs those of the report, or only these
 * of them, and writes it.
 */

import { parseArgs } from "node:util";
import { machine } from "./machine.ts";
import { readResult, writeReport, writeResult, writeSection } from "./report.ts";
import { type Bench, type BenchResult, toTable } from "./result.ts";

/** Benchmarks by name, each loaded only when it is run. */
const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  cli: () => import("./cli.ts"),
  crypto: () => import("./crypto.ts"),
  federation: () => import("./federation.ts"),
  hash: () => import("./hash.ts"),
  rpc: () => import("./rpc.ts"),
  scale: () => import("./scale.ts"),
  send: () => import("./send.ts"),
  stamp: () => import("./stamp.ts"),
};

/** Those that stand in the report. */
const REPORTED = ["hash", "crypto", "stamp", "rpc", "federation", "scale"];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
const [name, ...rest] = positionals;
if (values.help) {
  console.log(await usage());
} else if (values.report && positionals.every((one) => REPORTED.includes(one))) {
  await report(positionals);
} else if (name === undefined || !Object.hasOwn(BENCHES, name) || rest.length > 0) {
  const problem = name === undefined ? "" : `there is no benchmark "${positionals.join(" ")}"\n\n`;
  console.error(`${problem}${await usage()}`);
  process.exitCode = 2;
} else {
  const { result } = await run(name, values.json);
  console.log(values.json ? JSON.stringify(result) : toTable(result));
}

async function run(bench: string, quiet: boolean): Promise<{ result: BenchResult; question: string }> {
  const loaded = await BENCHES[bench]?.();
  if (!loaded) throw new Error(`there is no benchmark ${bench}`);
  const measured = await loaded.bench.run((what) => {
    if (!quiet) console.error(`measuring ${what}`);
  });
  return { result: { bench, machine: machine(), ...measured }, question: loaded.bench.question };
}

/** Runs what is asked for, or all, and writes the report with what earlier runs left of the rest. */
async function report(names: readonly string[]): Promise<void> {
  for (const bench of names.length > 0 ? names : REPORTED) writeResult((await run(bench, false)).result);
  const results = REPORTED.map(readResult).filter((result) => result !== undefined);
  const sections = results.map(async (result) => {
    const loaded = await BENCHES[result.bench]?.();
    return writeSection(result, loaded?.bench.question ?? "");
  });
  writeReport(await Promise.all(sections));
  console.error("written to bench/results/");
}

async function usage(): Promise<string> {
  const names = Object.keys(BENCHES);
  const widest = Math.max(...names.map((one) => one.length));
  const lines = await Promise.all(
    names.map(async (one) => `  ${one.padEnd(widest)}  ${(await BENCHES[one]?.())?.bench.question}`),
  );
  return [
    "usage: npm run bench -- NAME [--json]",
    "       npm run bench -- --report [NAME…]",
    "",
    ...lines,
    "",
    "  --json    print one JSON object and nothing else",
    `  --report  run ${REPORTED.join(", ")}, or those that are named, and write bench/results/`,
  ].join("\n");
}
