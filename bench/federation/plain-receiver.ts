/**
 * A receiving node as one would write it first, as a program: Connect's own adapter, each envelope checked as the protocol
 * says, its signature verified in JavaScript, one transaction for each. Senders' key sets are asked for once. Prints `{}` when
 * it answers.
 */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import { type DeliveryResult, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { systemClock } from "../../src/clock.ts";
import { compositeOf } from "../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import { jsTier } from "../../src/crypto/js/index.ts";
import { domainOf, envelopeRecord } from "../../src/federation/inbound-delivery.ts";
import {
  badSignature,
  duplicate,
  keyRetired,
  rejected,
  stored,
  unknownRecipient,
} from "../../src/federation/inbound-results.ts";
import { createSenderKeyDirectory } from "../../src/federation/sender-keys.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import { countsForNewEnvelopes } from "../../src/protocol/key-window.ts";
import { TOMBSTONE_MS } from "../../src/protocol/limits.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { Acceptance } from "../../src/storage/stores.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { type ProgramOptions, programOptions } from "./options.ts";

const options = programOptions<ProgramOptions>();
const { verify } = compositeOf(jsTier);
const { received } = await openStorage({ url: `sqlite:${options.file}` });
const accept = oneAtATime(async (acceptance: Acceptance) => (await received.accept([acceptance]))[0]);
const ca = await readFile(options.authority, "utf8");
const peer = createClient(
  KeySetService,
  createConnectTransport({
    baseUrl: `https://localhost:${options.peer.port}/api`,
    httpVersion: "2",
    nodeOptions: { ca },
  }),
);
const senderKeys = createSenderKeyDirectory({
  clock: systemClock,
  async fetchKeySet(_domain, request) {
    const { published } = await peer.getKeySet(request);
    if (published === undefined) throw new Error("an answer without a key set");
    return published;
  },
});

const server = createSecureServer(
  { cert: await readFile(options.certificate), key: await readFile(options.key) },
  connectNodeAdapter({
    routes: (router) =>
      router.service(FederationService, {
        async deliverShares({ envelopes }) {
          const results: DeliveryResult[] = [];
          for (const envelope of envelopes) results.push(await decide(envelope));
          return { results };
        },
      }),
  }),
);
server.listen(options.port, "127.0.0.1");
await once(server, "listening");
process.stdout.write("{}\n");
process.once("SIGTERM", () => process.exit());

async function decide(message: Envelope): Promise<DeliveryResult> {
  const now = systemClock();
  const envelope = parseEnvelope(message);
  const { shareId, sender, senderKeyNumber, createdAt } = envelope;
  const [facts] = await received.deliveryFacts([envelope]);
  if (facts === undefined) return unknownRecipient(shareId);
  if (facts.isKnown) return duplicate(shareId);
  if (!facts.sealedTo || !countsForNewEnvelopes(facts.sealedTo, createdAt, now)) {
    return keyRetired(shareId, "sealed to");
  }
  if (facts.contact !== "ACCEPTED") {
    return rejected(shareId, RejectionReason.NOT_ACCEPTED, "the recipient takes no shares from this sender");
  }
  const looked = await senderKeys.get(sender, senderKeyNumber, "peer");
  if (looked.kind !== "found") return badSignature(shareId);
  const { keys } = looked;
  if (!countsForNewEnvelopes(keys.succession, createdAt, now)) return keyRetired(shareId, "signed by");
  if (!verify(keys.verifyingKey, shareId, envelope.signature, SIGNATURE_CONTEXT.share)) {
    return badSignature(shareId);
  }
  const result = await accept({
    accountId: facts.accountId,
    envelope: envelopeRecord(envelope),
    senderDomain: domainOf(sender),
    senderKeySet: keys.record,
    now,
    tombstoneUntil: createdAt + TOMBSTONE_MS,
    firstContact: false,
    maxFirstContacts: 0,
    maxStoredBytes: Number.MAX_SAFE_INTEGER,
  });
  if (result === undefined) throw new Error("the store did not answer");
  return stored(shareId, result);
}
