/**
 * Two nodes in one process, as a program: `node nodes.ts WARM-UP-DATABASE DATABASE`. The first one is there to be asked until
 * the code is warm; the second one then has that code, and nothing in its caches. Prints `{ "warmUp": port, "measured": port }`.
 */

import { loadConfig } from "../../src/config.ts";
import { createNode } from "../../src/server/node.ts";

const [, , warmUpDatabase = "", database = ""] = process.argv;
const warmUp = await start(warmUpDatabase);
const measured = await start(database);
process.stdout.write(`${JSON.stringify({ warmUp, measured })}\n`);
process.once("SIGTERM", () => process.exit());

async function start(path: string): Promise<number> {
  const config = loadConfig({
    flags: {
      dev: true,
      domain: "acme.test",
      listen: "127.0.0.1:0",
      database: `sqlite:${path}`,
      "log-level": "warn",
      "lookups-per-second": 1_000_000,
      "lookup-burst": 1_000_000,
      "deliveries-per-second": 1_000_000,
      "delivery-burst": 1_000_000,
      "recipient-deliveries-per-second": 1_000_000,
      "recipient-delivery-burst": 1_000_000,
      "max-account-bytes": Number.MAX_SAFE_INTEGER,
    },
  });
  return (await createNode(config)).address.port;
}
