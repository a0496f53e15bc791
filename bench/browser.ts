/** `npm run bench:browser [-- NAME] [--json]`: the rows of `hash` and `crypto` in headless Chromium. */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findChromium, runInBrowser } from "../test/browser/harness.ts";
import { machine } from "./machine.ts";
import { type BenchResult, toTable } from "./result.ts";

const NAMES = ["hash", "crypto"];
const ENTRY = fileURLToPath(new URL("browser.entry.ts", import.meta.url));
const TIMEOUT_MS = 300_000;
/** liboqs finds its builds by computed paths. */
const MODULES = Object.fromEntries(
  ["ml-dsa-65", "ml-kem-768"].map((name) => [
    `/dist/${name}.min.js`,
    fileURLToPath(new URL(`../node_modules/@oqs/liboqs-js/dist/${name}.min.js`, import.meta.url)),
  ]),
);

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean", default: false } },
});
const unknown = positionals.find((name) => !NAMES.includes(name));
if (unknown !== undefined) {
  console.error(`there is no benchmark "${unknown}" for browsers; there are ${NAMES.join(" and ")}`);
  process.exitCode = 2;
} else if (findChromium() === undefined) {
  console.error("there is no Chromium on PATH: install it, or name one in CHROMIUM");
  process.exitCode = 1;
} else {
  for (const name of positionals.length > 0 ? positionals : NAMES) {
    if (!values.json) console.error(`measuring ${name} in Chromium`);
    const measured = (await runInBrowser(ENTRY, {
      timeoutMs: TIMEOUT_MS,
      parameters: { bench: name },
      modules: MODULES,
    })) as Pick<BenchResult, "rows" | "ratios">;
    const result: BenchResult = { bench: `${name} in Chromium`, machine: machine(), ...measured };
    console.log(values.json ? JSON.stringify(result) : toTable(result));
  }
}
