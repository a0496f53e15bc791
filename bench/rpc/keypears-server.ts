/**
 * Our node as a program, `node keypears-server.ts FOLDER`, with a service that has a message and no bytes, so that every answer
 * is encoded; all else is as it serves. Prints what the programs of `servers.ts` do.
 */

import { join } from "node:path";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { loadConfig } from "../../src/config.ts";
import { createNode } from "../../src/server/node.ts";
import { callerKey } from "../../src/services/context.ts";
import { readAnswers } from "./answers.ts";

const [, , folder = ""] = process.argv;
const answerTo = readAnswers(folder);
const config = loadConfig({
  flags: {
    dev: true,
    domain: "acme.test",
    listen: "127.0.0.1:0",
    database: `sqlite:${join(folder, "encoding.sqlite")}`,
    "log-level": "warn",
    "lookups-per-second": 1_000_000,
    "lookup-burst": 1_000_000,
  },
});
const node = await createNode(config, {
  register(router, { spend }) {
    router.service(KeySetService, {
      async getKeySet(request, call) {
        await spend("lookup", `prefix:${call.values.get(callerKey).sourcePrefix}`);
        return answerTo(request);
      },
    });
  },
});
process.stdout.write(`${JSON.stringify({ grpc: node.address.port, json: node.address.port })}\n`);
process.once("SIGTERM", () => process.exit());
