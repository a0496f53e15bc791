/** The page's side of `npm run bench:browser`: the same benchmarks as in Node, on what a browser has. */

import type { BenchResult } from "./result.ts";

const BENCHES = {
  hash: () => import("./hash.ts"),
  crypto: () => import("./crypto.ts"),
};

/** Runs the benchmark that the query string names. */
export default async function run(): Promise<Pick<BenchResult, "rows" | "ratios">> {
  const name = new URLSearchParams(location.search).get("bench");
  if (name !== "hash" && name !== "crypto") throw new Error(`there is no benchmark ${name} for browsers`);
  const { bench } = await BENCHES[name]();
  return bench.run(() => {});
}
