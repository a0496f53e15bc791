// Two nodes for two domains, on SQLite files and once more on PostgreSQL: whatever holds on the one has to hold on the other.

import { afterAll, beforeAll, describe } from "vitest";
import type { Environment } from "../../src/client/index.ts";
import type { RawOptions } from "../../src/config.ts";
import { type PostgresServer, startPostgres } from "../storage/postgres.ts";
import { environment } from "../support/clients.ts";
import { startTestNodes, type TestNode } from "../support/nodes.ts";

/** Two nodes that know each other. */
export interface Pair {
  /** Hosts acme.test. */
  readonly acme: TestNode;
  /** Hosts partner.test. */
  readonly partner: TestNode;
  readonly env: Environment;
}

const START_TIMEOUT_MS = 120_000;

/** Describes what two nodes do; `pair` answers once the tests run. The nodes are the same for all of them. */
export function describePair(
  name: string,
  describeTests: (pair: () => Pair) => void,
  flags: RawOptions = {},
): void {
  describe.each(["SQLite", "PostgreSQL"])(`${name}, on %s`, (kind) => {
    let postgres: PostgresServer | undefined;
    let pair: Pair | undefined;

    beforeAll(async () => {
      if (kind === "PostgreSQL") postgres = await startPostgres();
      const [acme, partner] = await startTestNodes(
        { domain: "acme.test", flags, ...(postgres && { database: await postgres.createDatabase() }) },
        { domain: "partner.test", flags, ...(postgres && { database: await postgres.createDatabase() }) },
      );
      if (!acme || !partner) throw new Error("there are not two nodes");
      pair = { acme, partner, env: environment([acme, partner]) };
    }, START_TIMEOUT_MS);

    afterAll(async () => {
      try {
        await Promise.all([pair?.acme.remove(), pair?.partner.remove()]);
      } finally {
        await postgres?.stop();
      }
    }, START_TIMEOUT_MS);

    describeTests(() => {
      if (!pair) throw new Error("the nodes did not start");
      return pair;
    });
  });
}
