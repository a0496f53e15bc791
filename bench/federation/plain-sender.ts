/**
 * A sending node as one would write it first, as a program: looks into its outbox now and then, and delivers what waits, one
 * call and one transaction for each share, some of them side by side. Prints `{}` when it has begun.
 */

import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { toEnvelope, updateAfterAnswer } from "../../src/federation/outbox-results.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { DeliveryUpdate, LeasedDelivery } from "../../src/storage/stores.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { type ProgramOptions, programOptions } from "./options.ts";

const AT_ONCE = 16;
const POLL_MS = 50;
const LEASE_MS = 60_000;

const options = programOptions<ProgramOptions>();
const { outbox } = await openStorage({ url: `sqlite:${options.file}` });
const receiver = createClient(
  FederationService,
  createConnectTransport({
    baseUrl: `https://localhost:${options.peer.port}`,
    httpVersion: "2",
    nodeOptions: { ca: await readFile(options.authority, "utf8") },
  }),
);
const token = toHex(randomBytes(16));
const settle = oneAtATime((result: { outboxId: number; update: DeliveryUpdate }) =>
  outbox.settle(token, [result]),
);

process.stdout.write("{}\n");
process.once("SIGTERM", () => process.exit());
for (;;) {
  const leased = await outbox.lease({
    destination: options.peer.domain,
    token,
    leaseMs: LEASE_MS,
    limit: 1_000,
    maxBytes: Number.MAX_SAFE_INTEGER,
  });
  if (leased.length === 0) {
    await delay(POLL_MS);
    continue;
  }
  const left = [...leased];
  const worker = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await deliver(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function deliver(one: LeasedDelivery): Promise<void> {
  const { results } = await receiver.deliverShares({ envelopes: [toEnvelope(one)] });
  const end = { now: Date.now(), random: Math.random };
  await settle({ outboxId: one.outboxId, update: updateAfterAnswer(one, results[0], end) });
}
