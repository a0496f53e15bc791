// Runs a module of this repository in headless Chromium: bundles it as an application would (esbuild, platform
// "browser", so that any import of Node fails), serves it from a loopback port, which browsers treat as a secure
// context, and hands back what its default export returns. One fresh browser profile for each run.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { build } from "esbuild";

export interface BrowserRunOptions {
  /** Milliseconds from start to result, the browser's own start included; 60,000 unless given. */
  readonly timeoutMs?: number;
  /** What the module finds in `location.search`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Modules that a dependency imports by a computed path, which no bundler follows: files by their path in the page. */
  readonly modules?: Readonly<Record<string, string>>;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_RESULT_BYTES = 64 * 1024 * 1024;
const CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome"];
const CHROMIUM_FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The Chromium to run, from `CHROMIUM` or the first known name on `PATH`; undefined where there is none. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM;
  if (named !== undefined && named !== "") return named;
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return CHROMIUM_NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

/**
 * What to put behind a suite's name when it cannot run, so that the skip explains itself:
 *
 *     describe.skipIf(findChromium() === undefined)(`addresses in Chromium${chromiumNote()}`, …)
 */
export function chromiumNote(): string {
  return findChromium() === undefined ? " (skipped: no Chromium on PATH, and CHROMIUM is not set)" : "";
}

/**
 * Runs the module at `entryPath` (absolute) in Chromium. Its default export is a value, or a function that returns one or
 * a promise of one; the value travels back as JSON.
 *
 * @throws Error when the bundle does not build, the page throws, the browser ends early, or time runs out.
 */
export async function runInBrowser(entryPath: string, options: BrowserRunOptions = {}): Promise<unknown> {
  const chromium = findChromium();
  if (chromium === undefined) throw new Error("no Chromium found: set CHROMIUM or add it to PATH");
  const bundle = await bundleForBrowser(entryPath);

  const outcome = Promise.withResolvers<unknown>();
  outcome.promise.catch(() => {}); // awaited below; a page that fails at once must not count as unhandled before
  const server = await serve(bundle, options.modules ?? {}, outcome);
  const profile = await mkdtemp(join(tmpdir(), "keypears-browser-"));
  const { port } = server.address() as AddressInfo;
  const page = new URL(`http://127.0.0.1:${port}/?${new URLSearchParams(options.parameters)}`);
  const browser = startChromium(chromium, profile, page.href, outcome);
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timer = setTimeout(() => outcome.reject(new Error(`no result within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await outcome.promise;
  } finally {
    clearTimeout(timer);
    await stopChromium(browser);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

type Outcome = PromiseWithResolvers<unknown>;

async function bundleForBrowser(entryPath: string): Promise<Uint8Array> {
  const runner = `
    import * as entry from ${JSON.stringify(entryPath)};
    const post = (outcome) => fetch("/outcome", { method: "POST", body: JSON.stringify(outcome) });
    Promise.try(() => (typeof entry.default === "function" ? entry.default() : entry.default)).then(
      (value) => post({ value }),
      (error) => post({ error: String(error?.stack ?? error) }),
    );
  `;
  const result = await build({
    stdin: { contents: runner, resolveDir: import.meta.dirname, loader: "js" },
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    target: "es2024",
    logLevel: "silent",
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("esbuild wrote no bundle");
  return file.contents;
}

// A module that fails while it loads never reaches the runner's own report, hence the listener in the page.
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script>
  addEventListener("error", (event) => {
    fetch("/outcome", { method: "POST", body: JSON.stringify({ error: event.error?.stack ?? event.message }) });
  });
</script>
<script type="module" src="/bundle.js"></script>`;

async function serve(
  bundle: Uint8Array,
  modules: Readonly<Record<string, string>>,
  outcome: Outcome,
): Promise<Server> {
  const server = createServer((request, response) => {
    const [path] = (request.url ?? "").split("?", 1);
    if (path === "/") {
      response.setHeader("content-type", "text/html").end(PAGE);
    } else if (path === "/bundle.js") {
      response.setHeader("content-type", "text/javascript").end(bundle);
    } else if (path !== undefined && Object.hasOwn(modules, path)) {
      response.setHeader("content-type", "text/javascript").end(readFileSync(modules[path] ?? ""));
    } else if (path === "/outcome" && request.method === "POST") {
      readOutcome(request).then(outcome.resolve, outcome.reject);
      request.once("end", () => response.end());
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return server;
}

async function readOutcome(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_RESULT_BYTES)
      throw new Error(`the page's result is larger than ${MAX_RESULT_BYTES} bytes`);
    chunks.push(chunk);
  }
  const { value, error } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as {
    value?: unknown;
    error?: string;
  };
  if (error !== undefined) throw new Error(`the page failed: ${error}`);
  return value;
}

function startChromium(path: string, profile: string, url: string, outcome: Outcome): ChildProcess {
  const browser = spawn(path, [...CHROMIUM_FLAGS, `--user-data-dir=${profile}`, url], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaints = "";
  browser.stderr?.on("data", (chunk: Buffer) => {
    complaints = (complaints + chunk.toString("utf8")).slice(-4_096);
  });
  browser.once("error", (error) => outcome.reject(new Error("could not start Chromium", { cause: error })));
  browser.once("exit", (code) => {
    outcome.reject(new Error(`Chromium ended with code ${code} before the page answered: ${complaints}`));
  });
  return browser;
}

async function stopChromium(browser: ChildProcess): Promise<void> {
  if (browser.pid === undefined || browser.exitCode !== null || browser.signalCode !== null) return;
  const gone = new Promise((resolve) => browser.once("exit", resolve));
  browser.kill("SIGKILL"); // its zygote and renderers end when their channel to it breaks
  await gone;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
