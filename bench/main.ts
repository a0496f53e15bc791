/** `npm run bench -- NAME [--json]` runs one benchmark; `npm run bench -- --report` runs those of the report and writes it. */

import { parseArgs } from "node:util";
import { machine } from "./machine.ts";
import { writeReport, writeResult } from "./report.ts";
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
} else if (values.report && name === undefined) {
  await report();
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

async function report(): Promise<void> {
  const sections: string[] = [];
  for (const bench of REPORTED) {
    const { result, question } = await run(bench, false);
    sections.push(writeResult(result, question));
    writeReport(sections, result);
  }
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
    "       npm run bench -- --report",
    "",
    ...lines,
    "",
    "  --json    print one JSON object and nothing else",
    `  --report  run ${REPORTED.join(", ")} and write bench/results/`,
  ].join("\n");
}
