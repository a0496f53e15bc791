// Whole nodes for tests: real sockets on loopback, a real database each, in development mode, so that domains lie where
// the test says. A node can be stopped and started again on its port with what it stored.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { freePort } from "../../src/cli/demo/node-process.ts";
import { loadConfig, type NodeConfig, type RawOptions } from "../../src/config.ts";
import { type Hints, noHints } from "../../src/hints.ts";
import { createLogger } from "../../src/server/logging.ts";
import { createNode, type Node, type NodeOverrides } from "../../src/server/node.ts";

export { freePort };

/** A node of a test. */
export interface TestNode {
  readonly domain: string;
  /** Such as "http://127.0.0.1:40123". */
  readonly origin: string;
  readonly apiUrl: string;
  readonly port: number;
  /** Where its files lie; gone after {@link TestNode.remove}. */
  readonly folder: string;
  /** `sqlite:PATH` or `postgres://…`. */
  readonly database: string;
  /** Every line that it logged at level debug and above, over all its lives. */
  readonly log: readonly string[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Has it forget what it keeps of its database: for tests that change something there behind its back. */
  missHints(): void;
  /** Stops it for good and removes its files. Fails the test if it logged an error: that is how bugs show. */
  remove(): Promise<void>;
}

/** What a node of a test may be told. */
export interface TestNodeOptions {
  readonly domain: string;
  /** Taken from {@link freePort}, where other nodes have to know it beforehand. */
  readonly port?: number;
  /** SQLite in the node's own folder unless given. */
  readonly database?: string;
  /** Where other domains lie: canonical domain → origin. */
  readonly resolve?: ReadonlyMap<string, string>;
  /** Options as the command line has them, beside those made here. */
  readonly flags?: RawOptions;
  readonly overrides?: NodeOverrides;
}

/** Makes nodes that cost nothing to write to, and that no test meets the limits of by chance. */
const GENEROUS: RawOptions = {
  dev: true,
  "creation-difficulty": 1,
  "first-contact-difficulty": 1,
  "login-attempts-per-minute": 100_000,
  "sends-per-second": 100_000,
  "send-burst": 100_000,
  "account-changes-per-second": 100_000,
  "account-change-burst": 100_000,
  "lookups-per-second": 100_000,
  "lookup-burst": 100_000,
  "max-first-contacts-per-day": 10_000,
  "max-key-sets-per-day": 100,
};

/** Starts a node. */
export async function startTestNode(options: TestNodeOptions): Promise<TestNode> {
  const { domain, resolve = new Map(), flags = {}, overrides = {} } = options;
  const port = options.port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), "keypears-node-"));
  const database = options.database ?? `sqlite:${join(folder, "node.sqlite")}`;
  const config: NodeConfig = loadConfig({
    flags: {
      ...GENEROUS,
      domain,
      listen: `127.0.0.1:${port}`,
      database,
      resolve: Array.from(resolve, ([name, origin]) => `${name}=${origin}`),
      ...flags,
    },
  });
  const log: string[] = [];
  const logger = await createLogger({ level: "debug", format: "json" }, { write: (line) => log.push(line) });
  const scheme = config.tls === undefined ? "http" : "https";
  let running: Node | undefined;
  const forgetters = new Set<() => void>();
  const hints: Hints = {
    ...noHints(),
    onGap(listener) {
      forgetters.add(listener);
      return () => forgetters.delete(listener);
    },
  };

  const node: TestNode = {
    domain,
    origin: `${scheme}://127.0.0.1:${port}`,
    apiUrl: config.apiUrl ?? `${scheme}://127.0.0.1:${port}/api`,
    port,
    folder,
    database,
    log,
    async start() {
      running ??= await createNode(config, { logger, hints, ...overrides });
    },
    async stop() {
      await running?.close();
      running = undefined;
    },
    missHints() {
      for (const forget of forgetters) forget();
    },
    async remove() {
      await node.stop();
      await rm(folder, { recursive: true, force: true });
      expect(errorsIn(log), `errors that the node of ${domain} logged`).toEqual([]);
    },
  };
  await node.start();
  return node;
}

/** Starts nodes that know each other, one for each of the options. */
export async function startTestNodes(
  ...options: readonly Omit<TestNodeOptions, "port" | "resolve">[]
): Promise<TestNode[]> {
  const placed = await Promise.all(options.map(async (one) => ({ ...one, port: await freePort() })));
  const resolve = new Map(placed.map(({ domain, port }) => [domain, `http://127.0.0.1:${port}`]));
  return Promise.all(placed.map((one) => startTestNode({ ...one, resolve })));
}

function errorsIn(log: readonly string[]): string[] {
  return log.filter((line) => (JSON.parse(line) as { level: string }).level === "error");
}
