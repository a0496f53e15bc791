/** Load from tools that a machine may have: h2load of nghttp2, and wrk. Both count in whole seconds and see no trailers. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadJob, LoadResult } from "./load.ts";
import { REQUEST_HEADERS } from "./question.ts";

/** Whether a command can be run. */
export function isInstalled(command: string): boolean {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}

/**
 * Load over HTTP/2.
 *
 * @param core the processor that the tool is bound to, if any, where taskset(1) is installed.
 * @throws Error if one answer was no success, or the answers have not the length of right ones.
 */
export async function h2load(
  { port, question, connections, streams, ms }: LoadJob,
  core: number | undefined,
): Promise<LoadResult> {
  return inFolder(async (folder) => {
    const body = join(folder, "request");
    const log = join(folder, "log");
    await writeFile(body, question.request);
    const out = await output(core, "h2load", [
      ...["-t", "1", "-c", String(connections), "-m", String(streams), "-D", seconds(ms)],
      ...["-d", body, "--log-file", log, ...headerOptions(question.carrier)],
      `http://127.0.0.1:${port}${question.path}`,
    ]);
    const { done, succeeded } = /(?<done>\d+) done, (?<succeeded>\d+) succeeded/.exec(out)?.groups ?? {};
    const data = /headers .*, .*\((\d+)\) data/.exec(out)?.[1];
    const calls = Number(succeeded);
    const inFlight = connections * streams;
    const bytes = Number(data) / question.answer.length;
    if (done !== succeeded || bytes < calls || bytes > calls + inFlight) {
      throw new Error(`h2load had answers that are not right: ${out}`);
    }
    // A line for each call: when it began, its status, and how many microseconds it took.
    const times = Float64Array.from((await readFile(log, "utf8")).trim().split("\n"), (line) =>
      Number(line.split("\t")[2]),
    ).sort();
    const quantile = (part: number) => (times[Math.floor((times.length - 1) * part)] ?? Number.NaN) / 1_000;
    return { calls, seconds: Number(seconds(ms)), p50: quantile(0.5), p99: quantile(0.99) };
  });
}

/** Load over HTTP/1.1. @param core as in {@link h2load}. @throws Error if one answer was no success. */
export async function wrk(
  { port, question, connections, ms }: LoadJob,
  core: number | undefined,
): Promise<LoadResult> {
  return inFolder(async (folder) => {
    const script = join(folder, "call.lua");
    const headers = Object.entries(REQUEST_HEADERS[question.carrier]).map(
      ([name, value]) => `wrk.headers["${name}"] = "${value}"`,
    );
    await writeFile(
      script,
      [
        'wrk.method = "POST"',
        `wrk.body = [==[${Buffer.from(question.request)}]==]`,
        ...headers,
        "function done(summary, latency)",
        "  local e = summary.errors",
        "  local wrong = e.connect + e.read + e.write + e.status + e.timeout",
        '  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, wrong, summary.duration,',
        "    latency:percentile(50), latency:percentile(99)))",
        "end",
        "",
      ].join("\n"),
    );
    const out = await output(core, "wrk", [
      ...["-t", "1", "-c", String(connections), "-d", seconds(ms), "-s", script],
      `http://127.0.0.1:${port}${question.path}`,
    ]);
    const [calls = 0, wrong = 1, micros = 0, p50 = 0, p99 = 0] =
      /RESULT (.*)/.exec(out)?.[1]?.split(" ").map(Number) ?? [];
    if (wrong !== 0) throw new Error(`wrk had answers that are not right: ${out}`);
    return { calls, seconds: micros / 1e6, p50: p50 / 1_000, p99: p99 / 1_000 };
  });
}

function headerOptions(carrier: LoadJob["question"]["carrier"]): string[] {
  return Object.entries(REQUEST_HEADERS[carrier]).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
}

function seconds(ms: number): string {
  return String(Math.max(1, Math.round(ms / 1_000)));
}

async function output(core: number | undefined, command: string, args: readonly string[]): Promise<string> {
  const bound = core !== undefined && isInstalled("taskset") ? ["taskset", "-c", String(core)] : [];
  const [program = command, ...rest] = [...bound, command, ...args];
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} failed: ${text.trim()}`);
  return text;
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "keypears-load-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
