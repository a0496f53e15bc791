/**
 * How fast do shares get from one domain to another? Two nodes on loopback, in processes of their own, over TLS and HTTP/2.
 * Shares are sealed, signed and accepted by the sending node before the clock starts, and held back; three roads then deliver
 * the same shares in turn, round after round. The clock runs from the first share's lease to the last one's commit, both read
 * from the databases. The limit is what this machine verifies of the same signatures with nothing else to do.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { composite } from "../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../src/crypto/contexts.ts";
import { verifyingKey } from "../src/protocol/key-set.ts";
import { BACKLOG, type BacklogMemory, measureBacklog } from "./federation/backlog.ts";
import { acceptShares } from "./federation/databases.ts";
import { peakMegabytes } from "./federation/memory.ts";
import { deliverPaced } from "./federation/pace.ts";
import { makePeople } from "./federation/people.ts";
import {
  deliver,
  type Ground,
  openRoad,
  type Passage,
  planRoad,
  type Road,
  type RoadName,
  writeCertificates,
} from "./federation/roads.ts";
import { type ReadyShare, sealShares } from "./federation/sealing.ts";
import { type Bench, quantile, type Row, summarize } from "./result.ts";

const ROUNDS = 5;
/** A second or two of each road. The first round, in which code gets warm, is not counted. */
const ROUND_SHARES: Readonly<Record<RoadName, number>> = { stream: 1_500, batch: 1_500, plain: 120 };
const MOST_IN_ROUND = Math.max(...Object.values(ROUND_SHARES));
const PACED_ROUNDS = 3;
const PACED_SECONDS = 4;
const NAMES: Readonly<Record<RoadName | "limit", string>> = {
  limit: "verifying alone, the limit",
  stream: "keypears, stream",
  batch: "keypears, batch",
  plain: "plain, a call for each",
};

/** The figures of one road, one for each round. */
interface Figures {
  readonly rate: number[];
  /** Seconds for 1,000 shares, of both processes. */
  readonly cpu: number[];
}

/** Throughput of three roads beside the limit, latency at half of it, memory of a backlog. */
export const bench: Bench = {
  question: "How many shares a second get from one domain to another?",
  async run(progress) {
    await using parts = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "keypears-bench-"));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    const ground: Ground = {
      folder,
      sendingFile: join(folder, "sending.sqlite"),
      receivingFile: join(folder, "receiving.sqlite"),
    };
    progress("sealing shares");
    await writeCertificates(ground);
    const people = await makePeople(ground.sendingFile, ground.receivingFile);
    const shares = await sealShares(people, (ROUNDS + 1) * MOST_IN_ROUND);

    progress(`a backlog of ${BACKLOG} shares`);
    const backlog = await measureBacklog(ground, people, shares);

    await acceptShares(ground.sendingFile, shares);
    const roads: Road[] = [];
    const open = async (name: RoadName) => {
      const plan = await planRoad(ground, name, name === "plain" ? roads[0]?.port : undefined);
      const road = await openRoad(plan, name, parts);
      roads.push(road);
      return road;
    };
    const stream = await open("stream");
    await open("batch");
    await open("plain");
    const { figures, limit } = await measureRates(roads, shares, progress);
    const peaks = new Map(roads.map((road) => [road, peaksOf(road)]));

    const pace = summarize(figures.get(stream)?.rate ?? []).median / 2;
    progress(`${pace.toFixed(0)} shares a second, half of the most`);
    const latencies: number[][] = [];
    const busy: number[] = [];
    for (let round = 0; round <= PACED_ROUNDS; round++) {
      const paced = await sealShares(people, Math.round(pace * PACED_SECONDS));
      await acceptShares(stream.sendingFile, paced);
      const before = stream.sender.cpuSeconds() + stream.receiver.cpuSeconds();
      const times = await deliverPaced(stream, ground, paced, pace);
      const cpu = stream.sender.cpuSeconds() + stream.receiver.cpuSeconds() - before;
      if (round === 0) continue;
      latencies.push(times);
      busy.push(cpu / PACED_SECONDS);
    }
    return report({ figures, limit, peaks, latencies, busy, backlog });
  },
};

/** Every road and the limit in every round, after a round in which all of them warm up. */
async function measureRates(
  roads: readonly Road[],
  shares: readonly ReadyShare[],
  progress: (what: string) => void,
): Promise<{ readonly figures: ReadonlyMap<Road, Figures>; readonly limit: Figures }> {
  const figures = new Map<Road, Figures>(roads.map((road) => [road, { rate: [], cpu: [] }]));
  const limit: Figures = { rate: [], cpu: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    progress(round === 0 ? "each road for the first time" : `round ${round} of ${ROUNDS}`);
    const after = round * MOST_IN_ROUND;
    const verified = await verify(shares.slice(after, after + MOST_IN_ROUND));
    if (round > 0) record(limit, MOST_IN_ROUND, verified);
    for (const [road, of] of round % 2 === 0 ? figures : [...figures].toReversed()) {
      const count = ROUND_SHARES[road.name];
      const passage = await deliver(road, after, after + count);
      if (round > 0) record(of, count, passage);
    }
  }
  return { figures, limit };
}

function record({ rate, cpu }: Figures, count: number, passage: Passage): void {
  rate.push(count / passage.seconds);
  cpu.push((passage.cpu * 1_000) / count);
}

/** Only verifies the signatures, on all cores. @throws Error if one is wrong. */
async function verify(shares: readonly ReadyShare[]): Promise<Passage> {
  const items = shares.map(({ envelope: { signature }, shareId, sender: { keys } }) => ({
    publicKey: verifyingKey(keys.keySet.publicKeys),
    message: shareId,
    signature,
    context: SIGNATURE_CONTEXT.share,
  }));
  const before = process.cpuUsage();
  const began = performance.now();
  const verdicts = await composite.verifyMany(items);
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(before);
  if (verdicts.includes(false)) throw new Error("a share's signature is wrong");
  return { seconds, cpu: (user + system) / 1e6 };
}

interface Peaks {
  readonly sender: number;
  readonly receiver: number;
}

function peaksOf({ sender, receiver }: Road): Peaks {
  return { sender: peakMegabytes(sender.pid), receiver: peakMegabytes(receiver.pid) };
}

function report(measured: {
  readonly figures: ReadonlyMap<Road, Figures>;
  readonly limit: Figures;
  readonly peaks: ReadonlyMap<Road, Peaks>;
  readonly latencies: readonly (readonly number[])[];
  /** Cores that both nodes kept busy meanwhile. */
  readonly busy: readonly number[];
  readonly backlog: BacklogMemory;
}): { rows: Row[]; ratios: Record<string, number> } {
  const { figures, limit, peaks, latencies, busy, backlog } = measured;
  const row = (op: string, implementation: string, values: readonly number[], unit: string): Row => {
    const { median: value, spread } = summarize(values);
    return { op, implementation, value, unit, spread };
  };
  const all = [["limit", limit] as const, ...Array.from(figures, ([{ name }, of]) => [name, of] as const)];
  const rows = [
    ...all.map(([name, { rate }]) => row("deliver", NAMES[name], rate, "shares/s")),
    ...all.map(([name, { cpu }]) => row("deliver-cpu", NAMES[name], cpu, "CPU-s/1,000 shares")),
  ];
  for (const [{ name }, { sender, receiver }] of peaks) {
    rows.push(row("memory: peak of the sender", NAMES[name], [sender], "MB"));
    rows.push(row("memory: peak of the receiver", NAMES[name], [receiver], "MB"));
  }
  for (const [op, q] of [
    ["latency: p50@half-rate", 0.5],
    ["latency: p99@half-rate", 0.99],
  ] as const) {
    const values = latencies.map((times) =>
      quantile(
        times.toSorted((a, b) => a - b),
        q,
      ),
    );
    rows.push(row(op, NAMES.stream, values, "ms"));
  }
  rows.push(row("busy@half-rate", NAMES.stream, busy, "cores"));
  const above = backlog.peak - backlog.idle;
  rows.push(
    row("memory: idle", NAMES.stream, [backlog.idle], "MB"),
    row(`memory: backlog@${BACKLOG}`, NAMES.stream, [above], "MB"),
    row(`delivered of backlog@${BACKLOG}`, NAMES.stream, [backlog.delivered], "shares"),
  );
  const rate = (name: string) =>
    rows.find((one) => one.op === "deliver" && one.implementation === name)?.value ?? Number.NaN;
  const ratios = {
    "deliver: stream/limit": rate(NAMES.stream) / rate(NAMES.limit),
    "deliver: stream/plain": rate(NAMES.stream) / rate(NAMES.plain),
    "deliver: batch/plain": rate(NAMES.batch) / rate(NAMES.plain),
    [`memory: backlog@${BACKLOG}`]: above,
  };
  return { rows, ratios };
}
