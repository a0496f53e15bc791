/**
 * How many calls a second does a server answer, beside what else could be installed? Servers in processes of their own serve
 * the same two answers, a key set's body (about 3.2 KB) and all of it (about 10 KB), under load from one more process; each in
 * turn, round after round. "keypears" encodes every answer, as the others with a message do; "keypears, cached" is the node as
 * it serves look-ups, from its database and its cache of bytes. Both do all that a node does for a call.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { KeySetView } from "../gen/keypears/v1/key_set_pb.ts";
import {
  BatchGetKeySetsRequestSchema,
  BatchGetKeySetsResponseSchema,
  GetKeySetRequestSchema,
} from "../gen/keypears/v1/key_set_service_pb.ts";
import { nodeEnvironment } from "../src/cli/environment.ts";
import { createAccount, openAccount } from "../src/client/index.ts";
import { utf8 } from "../src/crypto/bytes.ts";
import { machine } from "./machine.ts";
import { type Bench, type BenchResult, type Row, summarize } from "./result.ts";
import { type Generator, generators, type LoadJob, type OwnGenerator, startGenerator } from "./rpc/load.ts";
import { descendants, peerPorts, type ServerProcess, startServer } from "./rpc/process.ts";
import { ask, type Carrier, check, grpcFrame, type Question } from "./rpc/question.ts";
import type { Ports, ServerKind } from "./rpc/servers.ts";
import { fillAccounts, filledAddress } from "./scale/accounts.ts";

const ROUNDS = 5;
const ROUND_MS = 1_000;
const SERVICE = "/keypears.v1.KeySetService";
const ADDRESS = "alice@acme.test";
const BATCH = 100;
/** Processors of the server and of the load. Two workers need both. */
const SERVER_CORE = 0;
const LOAD_CORE = 1;
/** Calls in flight: enough that no server waits for the load. */
const LOAD: Readonly<Record<Carrier, { readonly connections: number; readonly streams: number }>> = {
  grpc: { connections: 4, streams: 16 },
  json: { connections: 64, streams: 1 },
};
const BATCH_LOAD = { connections: 4, streams: 4 };
/** Many connections, so that they spread over the workers evenly, and so many calls that none of them waits for one. */
const WORKERS_LOAD = { connections: 32, streams: 8 };
/** Each of two workers sees half of the calls, and takes twice as long until its code is warm. */
const WORKERS_WARM_UP_ROUNDS = 5;
const BIN = fileURLToPath(new URL("../bin/keypears.js", import.meta.url));
const SERVERS = fileURLToPath(new URL("rpc/servers.ts", import.meta.url));
const KEYPEARS_SERVER = fileURLToPath(new URL("rpc/keypears-server.ts", import.meta.url));

const OURS = "keypears";
const CACHED = "keypears, cached";
const ONE_WORKER = "keypears, one worker";
const TWO_WORKERS = "keypears, two workers";

/** A server under one kind of load. */
interface Candidate {
  readonly op: string;
  readonly implementation: string;
  readonly server: ServerProcess;
  readonly generator: Generator;
  readonly job: Omit<LoadJob, "ms">;
  /** What one right answer counts for. */
  readonly weight: number;
  readonly unit: string;
}

/** The figures of one candidate, one for each round. */
interface Figures {
  readonly rate: number[];
  readonly perCpuSecond: number[];
  readonly p50: number[];
  readonly p99: number[];
  /** How much of one core the server took. */
  readonly busy: number[];
}

/** The five kinds of server, four kinds of call, batches, and two workers. */
export const bench: Bench = {
  question: "How many calls does a second of one core answer, beside what else could be installed?",
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), "keypears-bench-"));
    await using parts = new AsyncDisposableStack();
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    const [serverCore, loadCore] = machine().cores > 1 ? [SERVER_CORE, LOAD_CORE] : [];
    const own = await startGenerator(loadCore);
    parts.defer(() => own.close());
    const by = generators(own, loadCore);
    progress(`gRPC with ${by.grpc.name}, JSON with ${by.json.name}`);

    await fillAccounts(join(folder, "node.sqlite"), BATCH);
    const startOurs = async (workers: number, core?: number) => {
      const server = await startServer(nodeArguments(folder, workers), core);
      parts.defer(() => server.stop());
      return server;
    };
    const start = async (kind: ServerKind | "keypears") => {
      const program = kind === "keypears" ? [KEYPEARS_SERVER, folder] : [SERVERS, folder, kind];
      const server = await startServer(program, serverCore);
      parts.defer(() => server.stop());
      return server;
    };
    const node = await startOurs(1, serverCore);
    const nodePort = Number(node.said.port);
    await makeAccount(nodePort);
    const questions = await askNode(nodePort);
    await keepAnswers(folder, questions);
    const servers: readonly (readonly [string, ServerProcess])[] = [
      [OURS, await start("keypears")],
      [CACHED, node],
      ["connect-node", await start("connect-node")],
      ["grpc-js", await start("grpc-js")],
      ["bare", await start("bare")],
    ];

    const candidates: Candidate[] = [];
    for (const [op, question] of Object.entries(questions)) {
      for (const [name, server] of servers) {
        const port = portOf(server, question.carrier);
        if (port === undefined || (op === "batch-get-key-sets" && server !== node)) continue;
        const bare = question.carrier === "grpc" ? "node:http2" : "node:http";
        const batch = op === "batch-get-key-sets";
        candidates.push({
          op,
          implementation: name === "bare" ? bare : name,
          server,
          generator: by[question.carrier],
          job: { port, question, ...(batch ? BATCH_LOAD : LOAD[question.carrier]) },
          weight: batch ? BATCH : 1,
          unit: batch ? "key sets/s" : "calls/s",
        });
      }
    }
    const question = questions["unary-grpc"];
    const workers = [
      { name: ONE_WORKER, server: await startOurs(1) },
      { name: TWO_WORKERS, server: await startOurs(2) },
    ];
    const measured = await measure(candidates, progress);
    const spread = await measureWorkers(workers, question, own, progress);
    return report(candidates, measured, spread);
  },
};

function nodeArguments(folder: string, workers: number): string[] {
  const flags = {
    domain: "acme.test",
    listen: "127.0.0.1:0",
    database: `sqlite:${join(folder, "node.sqlite")}`,
    "log-level": "warn",
    "creation-difficulty": "1",
    "lookups-per-second": "1000000",
    "lookup-burst": "1000000",
    workers: String(workers),
  };
  return [
    BIN,
    "serve",
    "--json",
    "--dev",
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
  ];
}

/** An account with two key sets, so that the active one has both signatures. */
async function makeAccount(port: number): Promise<void> {
  const env = nodeEnvironment({ resolve: new Map([["acme.test", new URL(`http://127.0.0.1:${port}`)]]) });
  try {
    const account = { address: ADDRESS, password: "only for this run", deviceName: "bench" };
    await openAccount(env, await createAccount(env, account)).rotateKeys();
  } finally {
    env.close();
  }
}

/** The questions by operation, with what the node answers to them; the other servers must answer the same to the byte. */
async function askNode(port: number) {
  const complete = async (carrier: Carrier, method: string, request: Uint8Array): Promise<Question> => {
    const asked = { carrier, path: `${SERVICE}/${method}`, request };
    return { ...asked, answer: await ask(port, asked) };
  };
  const grpc = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>, method: string) =>
    complete("grpc", method, grpcFrame(toBinary(schema, message)));
  const lookUp = (view: KeySetView) => create(GetKeySetRequestSchema, { address: ADDRESS, view });
  const json = (view: KeySetView) =>
    complete("json", "GetKeySet", utf8(toJsonString(GetKeySetRequestSchema, lookUp(view))));
  const batch = create(BatchGetKeySetsRequestSchema, {
    lookups: Array.from({ length: BATCH }, (_, index) => ({ address: filledAddress(index + 1) })),
    view: KeySetView.BODY,
  });
  const questions = {
    "unary-grpc": await grpc(GetKeySetRequestSchema, lookUp(KeySetView.BODY), "GetKeySet"),
    "unary-grpc-full": await grpc(GetKeySetRequestSchema, lookUp(KeySetView.FULL), "GetKeySet"),
    "unary-json": await json(KeySetView.BODY),
    "unary-json-full": await json(KeySetView.FULL),
    "batch-get-key-sets": await grpc(BatchGetKeySetsRequestSchema, batch, "BatchGetKeySets"),
  };
  const { results } = fromBinary(
    BatchGetKeySetsResponseSchema,
    questions["batch-get-key-sets"].answer.subarray(5),
  );
  if (results.length !== BATCH || results.some(({ result }) => result.case !== "published")) {
    throw new Error("the node did not find all key sets of the batch");
  }
  return questions;
}

/** Puts the answers where the other servers take them from. */
async function keepAnswers(folder: string, questions: Awaited<ReturnType<typeof askNode>>): Promise<void> {
  const files = {
    "body.bin": questions["unary-grpc"].answer.subarray(5),
    "full.bin": questions["unary-grpc-full"].answer.subarray(5),
    "body.json": questions["unary-json"].answer,
    "full.json": questions["unary-json-full"].answer,
  };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}

function portOf(server: ServerProcess, carrier: Carrier): number | undefined {
  const { port, grpc, json } = server.said as Ports & { readonly port?: number };
  return port ?? (carrier === "grpc" ? grpc : json);
}

/** Every candidate in every round, after a round in which all of them warm up. */
async function measure(
  candidates: readonly Candidate[],
  progress: (what: string) => void,
): Promise<ReadonlyMap<Candidate, Figures>> {
  const figures = new Map<Candidate, Figures>();
  for (const candidate of candidates) {
    figures.set(candidate, { rate: [], perCpuSecond: [], p50: [], p99: [], busy: [] });
  }
  for (let round = 0; round <= ROUNDS; round++) {
    progress(round === 0 ? "each server for the first time" : `round ${round} of ${ROUNDS}`);
    for (const [candidate, of] of round % 2 === 0 ? figures : [...figures].toReversed()) {
      const { implementation, server, generator, job, weight } = candidate;
      await check(implementation, job.port, job.question);
      const before = server.cpuSeconds();
      const { calls, seconds, p50, p99 } = await generator.run({ ...job, ms: ROUND_MS });
      const cpu = server.cpuSeconds() - before;
      await check(implementation, job.port, job.question);
      if (round === 0) continue;
      of.rate.push((calls * weight) / seconds);
      of.perCpuSecond.push((calls * weight) / cpu);
      of.p50.push(p50);
      of.p99.push(p99);
      of.busy.push(cpu / seconds);
    }
  }
  return figures;
}

/** What one worker and two answer for a second of processor time, and how the two share the calls. */
async function measureWorkers(
  workers: readonly { readonly name: string; readonly server: ServerProcess }[],
  question: Question,
  own: OwnGenerator,
  progress: (what: string) => void,
): Promise<Row[]> {
  const perCpuSecond = new Map<string, number[]>(workers.map(({ name }) => [name, []]));
  const shares: number[][] = [];
  for (let round = 1 - WORKERS_WARM_UP_ROUNDS; round <= ROUNDS; round++) {
    const counts = round > 0;
    progress(counts ? `workers, round ${round} of ${ROUNDS}` : "workers that warm up");
    for (const { name, server } of round % 2 === 0 ? workers : workers.toReversed()) {
      const port = Number(server.said.port);
      await check(name, port, question);
      const job = { port, question, ...WORKERS_LOAD, ms: ROUND_MS };
      const before = server.cpuSeconds();
      let cpu = 0;
      const { calls } = await own.run(job, ({ connections }) => {
        cpu = server.cpuSeconds() - before;
        if (!counts || name !== TWO_WORKERS) return;
        const total = connections.reduce((sum, one) => sum + one.calls, 0);
        const byProcess = [server.pid, ...descendants(server.pid)].map((pid) => {
          const ports = peerPorts(pid);
          return connections.reduce(
            (sum, { localPort, calls }) => sum + (ports.has(localPort) ? calls : 0),
            0,
          );
        });
        shares.push(
          byProcess
            .filter((calls) => calls > 0)
            .map((calls) => (100 * calls) / total)
            .toSorted((a, b) => b - a),
        );
      });
      if (counts) perCpuSecond.get(name)?.push(calls / cpu);
    }
  }
  return [
    ...Array.from(perCpuSecond, ([name, rates]) => row("unary-grpc-cpu", name, rates, "calls/CPU-s")),
    row(
      "share-of-calls",
      "first of two workers",
      shares.map(([first = 0]) => first),
      "%",
    ),
    row(
      "share-of-calls",
      "second of two workers",
      shares.map(([, second = 0]) => second),
      "%",
    ),
  ];
}

function report(
  candidates: readonly Candidate[],
  figures: ReadonlyMap<Candidate, Figures>,
  workers: readonly Row[],
): Pick<BenchResult, "rows" | "ratios"> {
  const rows: Row[] = [];
  const perCandidate = (suffix: string, unit: (candidate: Candidate) => string, pick: keyof Figures) => {
    for (const candidate of candidates) {
      const { op, implementation, job } = candidate;
      const bytes = job.question.answer.length;
      rows.push({
        ...row(op + suffix, implementation, figures.get(candidate)?.[pick] ?? [], unit(candidate)),
        bytes,
      });
    }
  };
  perCandidate("", ({ unit }) => unit, "rate");
  perCandidate("-cpu", ({ unit }) => unit.replace("/s", "/CPU-s"), "perCpuSecond");
  rows.push(...workers);
  perCandidate("-p50", () => "ms", "p50");
  perCandidate("-p99", () => "ms", "p99");
  // Where a server is not busy all the time, the load was too little and its rate says nothing.
  perCandidate("-busy", () => "cores", "busy");

  const value = (op: string, implementation: string) =>
    rows.find((one) => one.op === op && one.implementation === implementation)?.value ?? Number.NaN;
  const ratios: Record<string, number> = {};
  for (const op of [
    "unary-grpc",
    "unary-json",
    "unary-grpc-full",
    "unary-json-full",
    "unary-grpc-cpu",
    "unary-json-cpu",
  ]) {
    for (const { implementation } of rows.filter((one) => one.op === op)) {
      if (implementation.startsWith(OURS)) continue;
      ratios[`${op}: keypears/${implementation}`] = value(op, OURS) / value(op, implementation);
      const cached = op.replace(/^unary-(grpc|json)/, "$&-cached");
      ratios[`${cached}: keypears/${implementation}`] = value(op, CACHED) / value(op, implementation);
    }
  }
  ratios["batch-get-key-sets: key-sets/unary"] =
    value("batch-get-key-sets", CACHED) / value("unary-grpc", CACHED);
  ratios["unary-grpc-cpu: two-workers/one"] =
    value("unary-grpc-cpu", TWO_WORKERS) / value("unary-grpc-cpu", ONE_WORKER);
  return { rows, ratios };
}

function row(op: string, implementation: string, figures: readonly number[], unit: string): Row {
  const { median, spread } = summarize(figures);
  return { op, implementation, value: median, unit, spread };
}
