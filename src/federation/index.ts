/**
 * Federation put together: from the resolver up to inbound delivery and the outbox. This node's own domains take the same
 * road as any other, without the network.
 */

import { create } from "@bufbuild/protobuf";
import { KeySetSchema, PublishedKeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { CidrRange } from "../protocol/ip-policy.ts";
import { MAX_DELIVERY_ENVELOPES } from "../protocol/limits.ts";
import type { Stores } from "../storage/stores.ts";
import { type AddressLookup, createConnectionPolicy } from "./connection-policy.ts";
import { createPeerRoutes, type DeliveryRoute, type RouteLimits } from "./delivery-routes.ts";
import type { DevelopmentResolution } from "./development-resolution.ts";
import { createDialer } from "./dialer.ts";
import { createAddressLookup } from "./dns-addresses.ts";
import { createTxtLookup, lookUpNoTxt } from "./dns-txt.ts";
import { createDocumentFetcher } from "./document-fetcher.ts";
import { createDomainChecks } from "./domain-check.ts";
import type { DomainSources } from "./domain-evidence.ts";
import { PeerError } from "./errors.ts";
import { type HostedDomains, isServed } from "./hosted-domains.ts";
import { createInbound, type DeliveryBudget, type Inbound } from "./inbound.ts";
import { createOutboxWorker, type OutboxWorker } from "./outbox-worker.ts";
import { createPeerConnections, DEFAULT_PEER_CONNECTION_LIMITS } from "./peer-connections.ts";
import { createPeers } from "./peers.ts";
import { createProofCall } from "./proof-call.ts";
import { createResolver, type DomainResolver } from "./resolver.ts";
import { createSenderKeyDirectory, type FetchKeySet } from "./sender-keys.ts";
import { createWaitingKeyLooks } from "./waiting-keys.ts";

/** What federation is made of. */
export interface FederationOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly stores: Stores;
  /** Domains whose accounts live here. */
  readonly domains: HostedDomains;
  readonly firstContactDifficulty: number;
  readonly maxEnvelopeBytes: number;
  readonly maxAccountBytes: number;
  readonly maxFirstContactsPerDay: number;
  /** Ranges that may be connected to beside the globally reachable ones. */
  readonly allowedNetworks: readonly CidrRange[];
  /** Defined only in development. */
  readonly development: DevelopmentResolution | undefined;
  readonly requirePostQuantum: boolean;
  /** Authorities that sign peers' certificates, in PEM, in place of the platform's. */
  readonly trustedCertificates?: readonly string[] | undefined;
  /** DNS servers in place of the system's, with ports; none for the system's. */
  readonly dnsServers: readonly string[];
  /** Whether domains are refused that cannot prove anything. */
  readonly requireProvenDomains: boolean;
  /** `dns.lookup`, or a look-up at `dnsServers`, unless given. */
  readonly lookup?: AddressLookup | undefined;
  /** Takes points from a budget; answers with how long to wait in milliseconds, or 0. */
  readonly draw: (budget: DeliveryBudget, key: string, points: number) => Promise<number>;
  /** Tells watchers that an account has new shares. */
  readonly onAccepted: (accountId: number) => void;
}

/** A node's side of federation. */
export interface Federation {
  readonly resolver: DomainResolver;
  /** Where domains are looked up: for a host that checks what its own domains publish. */
  readonly domainSources: DomainSources;
  readonly inbound: Inbound;
  readonly outbox: OutboxWorker;
  /** Looks at domains whose new key waits, as far as that is due. Has to be called a few times a day. */
  lookAtWaitingKeys(signal: AbortSignal): Promise<void>;
  /** Ends the outbox's work within `graceMs`, and all connections to peers. */
  close(graceMs?: number): Promise<void>;
}

/** The carrier of the node's own deliveries, whose senders' accounts are known: no budget of a source weighs on it. */
const OWN_CARRIER = { prefix: "local", connectionId: "local" };
/** As much at once as keeps looking up, verifying and storing busy. What was accepted for sending is not too large. */
const OWN_LIMITS: RouteLimits = {
  maxBatches: 4,
  maxEnvelopes: MAX_DELIVERY_ENVELOPES,
  maxBytes: 1024 * 1024,
  maxEnvelopeBytes: Number.POSITIVE_INFINITY,
};

/** Puts federation together. The outbox does nothing until it is started. */
export function createFederation(options: FederationOptions): Federation {
  const { clock, log, stores, domains, development, dnsServers } = options;
  const ownServers = dnsServers.length > 0;
  const lookup = options.lookup ?? (ownServers ? createAddressLookup(dnsServers) : undefined);
  const policy = createConnectionPolicy({
    allowedNetworks: options.allowedNetworks,
    development,
    ...(lookup && { lookup }),
  });
  const dialer = createDialer({
    policy,
    requirePostQuantum: options.requirePostQuantum,
    ...(options.trustedCertificates && { trustedCertificates: options.trustedCertificates }),
  });
  const connections = createPeerConnections(dialer, DEFAULT_PEER_CONNECTION_LIMITS);
  const domainSources: DomainSources = {
    fetchDocument: createDocumentFetcher({ dialer }),
    lookUpTxt: development && !ownServers ? lookUpNoTxt : createTxtLookup({ servers: dnsServers }),
    askForProof: createProofCall(connections),
  };
  const { peerDomains } = stores;
  const checks = createDomainChecks({
    sources: domainSources,
    memories: peerDomains,
    clock,
    log,
    requireProven: options.requireProvenDomains,
    allowInsecure: development !== undefined,
  });
  const resolver = createResolver({ fetch: checks.fetch, clock, log });
  const peers = createPeers({ resolver, dialer, connections });

  const fetchKeySet: FetchKeySet = (domain, request, call) =>
    isServed(domains, domain)
      ? readOwnKeySet(stores, domain, request)
      : peers.getKeySet(domain, request, call);
  const inbound = createInbound({
    clock,
    log,
    stores,
    senderKeys: createSenderKeyDirectory({ clock, fetchKeySet }),
    domains,
    firstContactDifficulty: options.firstContactDifficulty,
    maxEnvelopeBytes: options.maxEnvelopeBytes,
    maxAccountBytes: options.maxAccountBytes,
    maxFirstContactsPerDay: options.maxFirstContactsPerDay,
    draw: async (budget, key, points) =>
      budget === "delivery-source" && key === OWN_CARRIER.prefix ? 0 : options.draw(budget, key, points),
    onAccepted: options.onAccepted,
  });
  const openPeerRoute = createPeerRoutes(peers);
  const ownRoute: DeliveryRoute = {
    limits: () => OWN_LIMITS,
    async deliver(envelopes, signal) {
      const { decided } = await inbound.take(envelopes, OWN_CARRIER, signal);
      return decided;
    },
  };
  const outbox = createOutboxWorker({
    clock,
    log,
    outbox: stores.outbox,
    openRoute: async (domain, signal) =>
      isServed(domains, domain) ? ownRoute : openPeerRoute(domain, signal),
  });
  return {
    resolver,
    domainSources,
    lookAtWaitingKeys: createWaitingKeyLooks({ peerDomains, checks, clock }),
    inbound,
    outbox,
    async close(graceMs) {
      await outbox.close(graceMs);
      peers.close();
      resolver.close();
      dialer.close();
    },
  };
}

/** A key set of an account that lives here, in the shape in which a peer would give it. */
async function readOwnKeySet(
  stores: Pick<Stores, "keySets">,
  domain: string,
  request: { readonly address: string; readonly number: number },
) {
  const found = await stores.keySets.get(request.address, request.number);
  if (found.kind !== "found") {
    const peerReason = found.kind === "address-unknown" ? "ADDRESS_UNKNOWN" : "KEY_SET_UNKNOWN";
    throw new PeerError("PEER_REFUSED", domain, "there is no such key set here", { peerReason });
  }
  const { keySet, activeNumber, supersededAt, revoked } = found;
  return create(PublishedKeySetSchema, {
    keySet: create(KeySetSchema, {
      body: keySet.body,
      selfSignature: keySet.selfSignature,
      continuitySignature: keySet.continuitySignature,
    }),
    activeNumber,
    supersededAt: BigInt(supersededAt),
    revoked,
  });
}
