// A clock that goes on by itself and that a test sets forward or back, and nodes whose everything runs by such a clock.

import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../../src/client/index.ts";
import type { Clock } from "../../src/clock.ts";
import type { RawOptions } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { environment } from "../support/clients.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

/** A clock of a test. */
export interface MovableClock {
  readonly now: Clock;
  /** Sets it forward, or back where `ms` is negative. */
  move(ms: number): void;
}

/** What a node by a clock may be told. */
export interface ClockedNodeOptions {
  readonly domain: string;
  readonly port: number;
  readonly clock: MovableClock;
  readonly resolve: ReadonlyMap<string, string>;
  /** Where others reach it, if not where it listens. */
  readonly origin?: string;
  readonly flags?: RawOptions;
}

/** Nobody meets the limits of a node by chance. */
const UNLIMITED: RawOptions = {
  "recipient-deliveries-per-second": 1_000_000,
  "recipient-delivery-burst": 1_000_000,
  "deliveries-per-second": 1_000_000,
  "delivery-burst": 1_000_000,
};

/** A clock that shows the machine's time until it is moved. */
export function createClock(): MovableClock {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    move(ms) {
      ahead += ms;
    },
  };
}

/** Starts a node that knows no other clock, leases of its database included. It is not started again after it was stopped. */
export async function startClockedNode(options: ClockedNodeOptions): Promise<TestNode> {
  const { domain, port, clock, resolve, origin, flags = {} } = options;
  const path = join(tmpdir(), `keypears-clocked-${crypto.randomUUID()}.sqlite`);
  const database = `sqlite:${path}`;
  const storage = await openStorage({ url: database, clock: clock.now });
  const node = await startTestNode({
    domain,
    port,
    database,
    resolve,
    overrides: { clock: clock.now, storage },
    flags: { ...UNLIMITED, ...(origin !== undefined && { "api-url": `${origin}/api` }), ...flags },
  });
  return {
    ...node,
    async remove() {
      await node.remove();
      for (const suffix of ["", "-wal", "-shm"]) await rm(path + suffix, { force: true });
    },
  };
}

/** What clients of such nodes have: the clock, and a way to each node that no weather is on. */
export function clearEnvironment(nodes: readonly TestNode[], clock: MovableClock): Environment {
  const origins = new Map(nodes.map(({ domain, origin }) => [domain, origin]));
  const base = environment(nodes);
  return {
    ...base,
    now: clock.now,
    async resolveDomain(domain) {
      const origin = origins.get(domain);
      if (origin === undefined) throw new Error(`the test knows no ${domain}`);
      return { apiUrl: `${origin}/api` };
    },
  };
}
