/** The machine that a benchmark runs on. */

import { availableParallelism, cpus } from "node:os";
import type { BenchResult } from "./result.ts";

/** Its processor, its cores, and this Node. */
export function machine(): BenchResult["machine"] {
  return { cpu: cpus()[0]?.model.trim() ?? "unknown", cores: availableParallelism(), node: process.version };
}
