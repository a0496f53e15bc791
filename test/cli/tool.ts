/** Runs the real tool as a process, in a home folder of its own, and a real node for it to talk to. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ENTRY = fileURLToPath(new URL("../../bin/keypears.js", import.meta.url));

/** How a run of the tool ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a run may be given. */
export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

/** The tool, at home in a folder of its own. */
export interface Tool {
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  run(args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Runs with `--json`, and gives the one object on standard output. Fails if the run does. */
  json<T = Record<string, unknown>>(args: readonly string[], options?: RunOptions): Promise<T>;
  /** Starts a run without waiting for its end. */
  start(args: readonly string[], options?: RunOptions): ChildProcess;
  remove(): void;
}

/** Makes a tool that knows nobody yet. `env` is added to its environment. */
export function makeTool(env: Readonly<Record<string, string>> = {}): Tool {
  const home = mkdtempSync(join(tmpdir(), "kp-"));
  const environment = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    XDG_CONFIG_HOME: join(home, "config"),
    XDG_STATE_HOME: join(home, "state"),
    XDG_RUNTIME_DIR: home,
    TZ: "UTC",
    ...env,
  };
  const start = (args: readonly string[], options: RunOptions = {}): ChildProcess => {
    const child = spawn(process.execPath, [ENTRY, ...args], {
      env: { ...environment, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin?.on("error", () => undefined); // a run that reads no input may end before it has taken it
    child.stdin?.end(options.input ?? "");
    return child;
  };
  const run = async (args: readonly string[], options: RunOptions = {}): Promise<Ended> => {
    const child = start(args, options);
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, "close");
    return { code, stdout, stderr };
  };
  return {
    home,
    env: environment,
    start,
    run,
    async json(args, options) {
      const { code, stdout, stderr } = await run([...args, "--json"], options);
      if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** A node that hosts acme.test and partner.test. */
export interface TestNode {
  /** For KEYPEARS_RESOLVE. */
  readonly resolve: string;
  readonly apiUrl: string;
  stop(): Promise<void>;
}

/** Starts a node with the tool itself, with stamps that cost next to nothing. */
export async function startNode(): Promise<TestNode> {
  const tool = makeTool();
  const domains = ["acme.test", "partner.test"];
  const child = tool.start([
    "serve",
    "--json",
    "--dev",
    "--listen",
    "127.0.0.1:0",
    ...domains.flatMap((domain) => ["--domain", domain]),
    ...["--creation-difficulty", "100", "--first-contact-difficulty", "100"],
    ...["--login-attempts-per-minute", "1000"],
  ]);
  let errors = "";
  child.stderr?.on("data", (chunk) => {
    errors += chunk;
  });
  const [line] = await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, "data"),
    once(child, "exit").then(() => {
      throw new Error(`the node ended: ${errors}`);
    }),
  ]);
  const { port, apiUrl } = JSON.parse(String(line));
  return {
    apiUrl,
    resolve: domains.map((domain) => `${domain}=http://127.0.0.1:${port}`).join(" "),
    async stop() {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
      tool.remove();
    },
  };
}
