/**
 * What does a call cost when a thousand times more is stored? Each measurement takes a fresh process, whose code is warm and
 * whose caches are cold, and counts its processor time; few and many in turn.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bench, type Row, summarize } from "./result.ts";
import { startServer } from "./rpc/process.ts";
import { acceptDelivery } from "./scale/accept-delivery.ts";
import { getKeySet } from "./scale/get-key-set.ts";
import { makeCalls } from "./scale/grpc-client.ts";
import { listInbox } from "./scale/list-inbox.ts";
import type { Operation } from "./scale/operation.ts";

const OPERATIONS: readonly Operation[] = [getKeySet, listInbox, acceptDelivery];
const ROUNDS = 5;
const CALLS = 1_000;
const AT_ONCE = 8;
const NODES = fileURLToPath(new URL("scale/nodes.ts", import.meta.url));

/** What one fresh process took for a call. */
interface Cost {
  /** Processor time, in microseconds. */
  readonly cpu: number;
  /** From the call to the answer, in milliseconds, the median. */
  readonly latency: number;
}

/** Every operation over few and over many, on SQLite. */
export const bench: Bench = {
  question: "What does a call cost when a thousand times more is stored?",
  async run(progress) {
    const rows: Row[] = [];
    const ratios: Record<string, number> = {};
    for (const operation of OPERATIONS) {
      const { name, few, many } = operation;
      const costs = await measure(operation, progress);
      const cpu = [few, many].map((count) => summarize(costs.get(count)?.map((cost) => cost.cpu) ?? []));
      for (const [index, count] of [few, many].entries()) {
        const implementation = `${formatCount(count)} ${operation.stored}`;
        const { median: value = Number.NaN, spread = 0 } = cpu[index] ?? {};
        rows.push({ op: name, implementation, value, unit: "µs CPU", spread });
        const latency = summarize(costs.get(count)?.map((cost) => cost.latency) ?? []);
        rows.push({
          op: `${name}-p50`,
          implementation,
          value: latency.median,
          unit: "ms",
          spread: latency.spread,
        });
      }
      ratios[`growth: ${name} ${many}/${few}`] =
        (cpu[1]?.median ?? Number.NaN) / (cpu[0]?.median ?? Number.NaN);
    }
    return { rows, ratios };
  },
};

async function measure(
  operation: Operation,
  progress: (what: string) => void,
): Promise<ReadonlyMap<number, readonly Cost[]>> {
  const { name, stored, few, many } = operation;
  const folder = await mkdtemp(join(tmpdir(), "keypears-bench-"));
  const costs = new Map<number, Cost[]>([few, many].map((count) => [count, []]));
  try {
    const files = new Map([few, many].map((count) => [count, join(folder, `${count}.sqlite`)]));
    const warmUpFile = join(folder, "warm-up.sqlite");
    await operation.fill(warmUpFile, operation.warmUpCalls);
    for (const [count, file] of files) {
      progress(`${name}: storing ${formatCount(count)} ${stored}`);
      await operation.fill(file, count);
    }
    for (let round = 0; round < ROUNDS; round++) {
      progress(`${name}: round ${round + 1} of ${ROUNDS}`);
      for (const [count, file] of round % 2 === 0 ? files : [...files].toReversed()) {
        costs.get(count)?.push(await costOf(operation, count, warmUpFile, file));
      }
    }
    return costs;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function costOf(operation: Operation, count: number, warmUp: string, file: string): Promise<Cost> {
  const nodes = await startServer([NODES, warmUp, file]);
  const { warmUpCalls } = operation;
  let cost: Cost;
  try {
    await makeCalls(Number(nodes.said.warmUp), operation.calls(warmUpCalls, warmUpCalls), AT_ONCE);
    const calls = operation.calls(count, CALLS);
    const before = nodes.cpuSeconds();
    const times = await makeCalls(Number(nodes.said.measured), calls, AT_ONCE);
    const cpu = ((nodes.cpuSeconds() - before) * 1e6) / CALLS;
    cost = { cpu, latency: summarize(times).median };
  } finally {
    await nodes.stop();
  }
  operation.undo?.(warmUp, warmUpCalls, warmUpCalls);
  operation.undo?.(file, count, CALLS);
  return cost;
}

function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}
