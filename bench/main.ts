/** `npm run bench -- NAME [--json]`: runs one benchmark and prints what it measured. */

import { parseArgs } from "node:util";
import { type Bench, type BenchResult, machine, toTable } from "./result.ts";

/** Benchmarks by name, each loaded only when it is run. */
const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  cli: () => import("./cli.ts"),
  crypto: () => import("./crypto.ts"),
  hash: () => import("./hash.ts"),
  send: () => import("./send.ts"),
};

const USAGE = `usage: npm run bench -- NAME [--json]

NAME is one of: ${Object.keys(BENCHES).join(", ")}

  --json   print one JSON object and nothing else`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
const [name, ...rest] = positionals;
const load = name === undefined ? undefined : BENCHES[name];
if (values.help) {
  console.log(USAGE);
} else if (name === undefined || load === undefined || rest.length > 0) {
  console.error(name === undefined ? USAGE : `there is no benchmark "${positionals.join(" ")}"\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  const { bench } = await load();
  const result: BenchResult = {
    bench: name,
    machine: machine(),
    ...(await bench.run((what) => {
      if (!values.json) console.error(`measuring ${what}`);
    })),
  };
  console.log(values.json ? JSON.stringify(result) : toTable(result));
}
