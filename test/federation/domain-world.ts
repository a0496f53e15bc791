/**
 * A small internet for tests of domains: web servers and hosts behind real TLS, names and TXT records in a real DNS server, an
 * owner with a domain key, and a node that resolves domains with all of it and remembers them in a real database. Everything
 * is in order until a test changes it.
 */

import { connectNodeAdapter } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { DomainProof } from "../../gen/keypears/v1/domain_pb.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { createAddressLookup } from "../../src/federation/dns-addresses.ts";
import { createTxtLookup } from "../../src/federation/dns-txt.ts";
import { createDocumentFetcher } from "../../src/federation/document-fetcher.ts";
import { createDomainChecks } from "../../src/federation/domain-check.ts";
import {
  createPeerConnections,
  DEFAULT_PEER_CONNECTION_LIMITS,
} from "../../src/federation/peer-connections.ts";
import { createProofCall } from "../../src/federation/proof-call.ts";
import { createResolver } from "../../src/federation/resolver.ts";
import { createWaitingKeyLooks } from "../../src/federation/waiting-keys.ts";
import type { Logger } from "../../src/logger.ts";
import { type AuthorizationTerms, buildAuthorization } from "../../src/protocol/domain-authorization.ts";
import {
  type CompositeKeyPair,
  domainKeyHash,
  generateCompositeKeyPair,
} from "../../src/protocol/domain-key.ts";
import { buildDomainProof, type HostedConsent } from "../../src/protocol/domain-proof.ts";
import { formatDomainTxt } from "../../src/protocol/domain-txt.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { type DnsServer, startDnsServer } from "../support/dns-server.ts";
import { startHttp2, startHttps } from "../support/hostile-server.ts";
import { createTestNetwork } from "./network.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const NOW = Date.UTC(2026, 5, 1);

export const DOMAIN = "acme.test";
const TXT_NAME = `_keypears.${DOMAIN}`;

const authority = createCertificateAuthority();
const credentials = authority.issue({ names: [DOMAIN, "host.test", "rogue.test"] });

/** A machine that answers ProveDomain. */
export interface Host {
  readonly apiUrl: string;
  readonly key: CompositeKeyPair;
  /** What it proves with; without one it has nothing to show. */
  consent: HostedConsent | undefined;
  /** Stands in for what an honest host does. */
  answer: ((domain: string, nonce: Uint8Array) => DomainProof) | undefined;
}

/** One node that resolves domains. */
export type AskingNode = ReturnType<typeof makeNode>;

/** The world. */
export interface DomainWorld {
  readonly clock: { now: number };
  readonly owner: CompositeKeyPair;
  readonly host: Host;
  readonly rogue: Host;
  /** What acme.test serves, as JSON; undefined for 404. */
  readonly site: { document: Record<string, unknown> | undefined; maxAge: number };
  readonly dns: DnsServer;
  /** Where each name listens on 127.0.0.1. */
  readonly ports: Readonly<Record<string, number>>;
  /** The authority's certificate. */
  readonly authority: string;
  readonly stores: Awaited<ReturnType<typeof openStorage>>;
  readonly node: AskingNode;
  /** What has been asked so far. */
  readonly asked: { documents: number; records: number; proofs: number };
  /** Another node on the same database, with nothing in its memory but that. */
  anotherNode(options?: NodeOptions): AskingNode;
  /** An owner's authorization of the host, serial 7, good for a month; with what a test wants otherwise. */
  authorize(change?: Partial<AuthorizationTerms>, key?: CompositeKeyPair): HostedConsent;
  /** The owner's document of version 2. */
  documentOf(key: CompositeKeyPair, apiUrl?: string): Record<string, unknown>;
  /** Publishes the TXT record of a key; removes it without one. */
  publishTxt(key: CompositeKeyPair | undefined): void;
  /** What the database remembers of acme.test. */
  memory(): ReturnType<Awaited<ReturnType<typeof openStorage>>["peerDomains"]["read"]>;
  /** Goes on in time. */
  pass(ms: number): void;
}

interface NodeOptions {
  readonly requireProven?: boolean;
  readonly txtTimeoutMs?: number;
}

interface WorldOptions extends NodeOptions {
  /** When it begins; {@link NOW} unless given. */
  readonly now?: number;
}

/** Makes the world, which ends with the test. */
export async function makeWorld(options: WorldOptions = {}): Promise<DomainWorld> {
  const clock = { now: options.now ?? NOW };
  const owner = generateCompositeKeyPair();
  const asked = { documents: 0, records: 0, proofs: 0 };
  const site: DomainWorld["site"] = { document: undefined, maxAge: 300 };
  const website = await startHttps(credentials, (_request, response) => {
    asked.documents++;
    response.setHeader("cache-control", `max-age=${site.maxAge}`);
    if (site.document === undefined) response.statusCode = 404;
    response.end(JSON.stringify(site.document));
  });
  const [host, rogue] = await Promise.all([
    startHost("host.test", clock, asked),
    startHost("rogue.test", clock, asked),
  ]);
  const a = ["127.0.0.1"];
  const dns = await startDnsServer({ [DOMAIN]: { a }, "host.test": { a }, "rogue.test": { a } });
  onTestFinished(() => dns.close());
  const stores = await openStorage({ url: "sqlite::memory:" });
  onTestFinished(() => stores.close());

  const ports = { [DOMAIN]: website.port, "host.test": host.port, "rogue.test": rogue.port };
  const parts = { clock, dns, stores, asked, ports };
  const world: DomainWorld = {
    clock,
    owner,
    host: host.host,
    rogue: rogue.host,
    site,
    dns,
    ports,
    authority: authority.certificate,
    stores,
    asked,
    node: makeNode(parts, options),
    anotherNode: (otherwise = options) => makeNode(parts, otherwise),
    authorize: (change = {}, key = owner) => ({
      domainPublicKey: key.publicKey,
      authorization: buildAuthorization(
        {
          domain: DOMAIN,
          apiUrl: host.host.apiUrl,
          nodePublicKeys: [host.host.key.publicKey],
          serial: 7,
          notBefore: clock.now - DAY,
          notAfter: clock.now + 90 * DAY,
          ...change,
        },
        key.secretKey,
      ),
    }),
    documentOf: (key, apiUrl = host.host.apiUrl) => ({
      version: 2,
      apiUrl,
      domainPubKeyHash: toHex(domainKeyHash(key.publicKey)),
    }),
    publishTxt(key) {
      const keyHash = key && toHex(domainKeyHash(key.publicKey));
      if (keyHash === undefined) dns.zone.delete(TXT_NAME);
      else dns.zone.set(TXT_NAME, { txt: [formatDomainTxt({ keyHash })] });
    },
    memory: () => stores.peerDomains.read(DOMAIN),
    pass(ms) {
      clock.now += ms;
    },
  };
  world.site.document = world.documentOf(owner);
  world.host.consent = world.authorize();
  world.publishTxt(owner);
  return world;
}

async function startHost(name: string, clock: DomainWorld["clock"], asked: DomainWorld["asked"]) {
  const host: Host = {
    apiUrl: `https://${name}/api`,
    key: generateCompositeKeyPair(),
    consent: undefined,
    answer: undefined,
  };
  const routes = connectNodeAdapter({
    requestPathPrefix: "/api",
    routes: (router) => {
      router.service(DiscoveryService, {
        getServerInfo: () => ({
          software: "test-host/1",
          protocolVersions: [1],
          serverTime: BigInt(clock.now),
        }),
        proveDomain({ domain, nonce }) {
          asked.proofs++;
          if (host.answer) return { proof: host.answer(domain, nonce) };
          return host.consent ? { proof: buildDomainProof(host.consent, host.key, nonce, clock.now) } : {};
        },
      });
    },
  });
  const { port } = await startHttp2(credentials, routes, { allowHTTP1: true });
  return { host, port };
}

interface NodeParts extends Pick<DomainWorld, "clock" | "dns" | "stores" | "asked"> {
  readonly ports: Readonly<Record<string, number>>;
}

function makeNode({ clock, dns, stores, asked, ports }: NodeParts, options: NodeOptions) {
  const { dialer } = createTestNetwork({
    trustedCertificates: [authority.certificate],
    ports,
    policy: { lookup: createAddressLookup([dns.address]) },
  });
  const connections = createPeerConnections(dialer, DEFAULT_PEER_CONNECTION_LIMITS);
  const lookUpTxt = createTxtLookup({ servers: [dns.address], timeoutMs: options.txtTimeoutMs });
  const warnings: Readonly<Record<string, unknown>>[] = [];
  const log: Logger = {
    debug: () => {},
    info: () => {},
    warn: (fields) => warnings.push(fields),
    error: (fields, message) => {
      throw new Error(`${message}: ${JSON.stringify(fields)}`);
    },
  };
  const checks = createDomainChecks({
    sources: {
      fetchDocument: createDocumentFetcher({ dialer }),
      lookUpTxt(domain, signal) {
        asked.records++;
        return lookUpTxt(domain, signal);
      },
      askForProof: createProofCall(connections),
    },
    memories: stores.peerDomains,
    clock: () => clock.now,
    log,
    requireProven: options.requireProven,
  });
  const resolver = createResolver({ fetch: checks.fetch, clock: () => clock.now, log });
  onTestFinished(() => {
    resolver.close();
    connections.close();
  });
  const lookAtWaitingKeys = createWaitingKeyLooks({
    peerDomains: stores.peerDomains,
    checks,
    clock: () => clock.now,
  });
  return {
    checks,
    warnings,
    resolve: () => resolver.resolve(DOMAIN),
    lookAtWaitingKeys: () => lookAtWaitingKeys(AbortSignal.timeout(60_000)),
  };
}
