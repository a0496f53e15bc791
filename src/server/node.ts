/**
 * A whole node: database, federation, services and listener, made in that order, passed to each other in plain objects, and
 * ended in the opposite order.
 */

import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { ConfigError, type HostAndPort, type NodeConfig } from "../config.ts";
import { cryptoReport } from "../crypto/select.ts";
import type { AddressLookup } from "../federation/connection-policy.ts";
import { gatherPublished } from "../federation/domain-evidence.ts";
import type { DeliveryBudget } from "../federation/inbound.ts";
import { createFederation } from "../federation/index.ts";
import { type Hints, joinHints, noHints, unheardHints } from "../hints.ts";
import type { Logger } from "../logger.ts";
import { parseApiUrl } from "../protocol/api-url.ts";
import { buildDiscoveryDocument } from "../protocol/discovery-document.ts";
import { DOMAIN_PROOFS_PER_SECOND } from "../protocol/limits.ts";
import type { Budget, NodeLimits, ServiceContext } from "../services/context.ts";
import { documentMarkOf } from "../services/domain-checks.ts";
import { createDomainRound } from "../services/domain-schedule.ts";
import { serviceError } from "../services/errors.ts";
import { createAccountEvents } from "../services/events.ts";
import { createFamiliarPrefixes } from "../services/familiar-prefixes.ts";
import { hashData, spendHash } from "../services/hashing.ts";
import { createNodeHealth } from "../services/health.ts";
import { openNodeDomains } from "../services/hosted-domains.ts";
import { registerServices, SCHEMA } from "../services/index.ts";
import { createKeySetAnswers } from "../services/key-set-answers.ts";
import { createNodeKeys, ensureNodeKey } from "../services/node-keys.ts";
import { encodeFiles } from "../services/schema.ts";
import { openStorage, type Storage } from "../storage/open.ts";
import { BLAKE3_PATH, createBlake3Endpoint } from "./blake3-endpoint.ts";
import { type BudgetRate, createBudgets } from "./budgets.ts";
import { identifyCaller } from "./caller.ts";
import { createDescriptorEndpoint, DESCRIPTORS_PATH } from "./descriptor-endpoint.ts";
import type { Exchange } from "./exchange.ts";
import { createHttpHandler } from "./http.ts";
import { type Certificate, type ConnectionSource, type ListenerTimeouts, listen } from "./listener.ts";
import { createNodeLogger } from "./logging.ts";
import { createBodyMemory } from "./request-body.ts";
import { respondError } from "./respond.ts";
import { startRounds } from "./rounds.ts";
import { createRpcDispatcher } from "./rpc/dispatcher.ts";
import { shuttingDown } from "./rpc/errors.ts";
import { SOFTWARE } from "./software.ts";

/** A running node. */
export interface Node {
  /** Where it listens. */
  readonly address: HostAndPort;
  /** Where its methods live, as its discovery document says. */
  readonly apiUrl: string;
  readonly log: Logger;
  /** Reads the certificate's files again, for new connections. Does nothing in cleartext. */
  reloadCertificate(): Promise<void>;
  /** Finishes what is in flight, 10 s at most, and lets go of everything. Calling it again waits for the same end. */
  close(): Promise<void>;
}

/** What a node may be given in place of its own. */
export interface NodeOverrides {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Looks up the addresses of peers. */
  readonly lookup?: AddressLookup;
  /** Authorities that sign peers' certificates, in PEM, in place of the platform's. */
  readonly trustedCertificates?: readonly string[];
  /** An open database, which the node then closes. */
  readonly storage?: Storage;
  /** To and from the processes that share the database, which the node then closes. */
  readonly hints?: Hints;
  /** Where its connections come from, in place of a port of its own at `listen`. */
  readonly source?: ConnectionSource;
  /** Whether it deletes what has expired; true if left out. One of several processes is enough. */
  readonly maintains?: boolean;
  readonly watchPollMs?: number;
  readonly timeouts?: Partial<ListenerTimeouts>;
  /** Puts services on the router, in place of the node's own. */
  readonly register?: typeof registerServices;
}

type BudgetName = Budget | DeliveryBudget;

/** How long a stop waits for deliveries to peers that do not answer. What is cut off is delivered after the next start. */
const OUTBOX_GRACE_MS = 3_000;
const MAINTENANCE_MS = 600_000;
const DOMAIN_ROUND_MS = 60_000;
const MAINTENANCE_BATCH = 1_000;
/** Look-ups for claims and checks that one account may cause. */
const DOMAIN_CHECKS_PER_MINUTE = 10;
const WATCH_POLL_MS = 2_000;
const WATCH_KEEP_ALIVE_MS = 30_000;
/** Memory for large bodies of all requests together, in messages of the largest size: 256 MiB by default. */
const MAX_HELD_REQUESTS = 64;

/**
 * Starts a node. When the promise resolves, it answers.
 *
 * @throws ConfigError, StorageError, or the system's error when the port cannot be had.
 */
export async function createNode(config: NodeConfig, overrides: NodeOverrides = {}): Promise<Node> {
  const clock = overrides.clock ?? systemClock;
  const log = overrides.logger ?? (await createNodeLogger(config));
  for (const warning of config.warnings) log.warn({}, warning);

  await using parts = new AsyncDisposableStack();
  const certificate = config.tls && (await readCertificate(config.tls));
  const storage = overrides.storage ?? (await openDatabase(config));
  parts.defer(() => storage.close());

  const stopping = new AbortController();
  const hints = joinHints(overrides.hints ?? noHints(), await openHints(config, log));
  parts.defer(() => hints.close());
  await ensureNodeKey(storage.nodeKeys, clock());
  const domains = await openNodeDomains({
    own: config.domains,
    domains: storage.domains,
    hints,
    log,
    maxStoredBytes: config.hosting.maxStoredBytes,
  });
  parts.defer(() => domains.close());
  const events = createAccountEvents(hints);
  const budgets = createBudgets<BudgetName>(budgetRates(config.limits), clock);

  const federation = createFederation({
    clock,
    log,
    stores: storage,
    domains,
    firstContactDifficulty: config.firstContactDifficulty,
    maxEnvelopeBytes: config.limits.maxEnvelopeBytes,
    maxAccountBytes: config.limits.maxAccountBytes,
    maxFirstContactsPerDay: config.limits.maxFirstContactsPerDay,
    allowedNetworks: config.allowedNetworks,
    development: config.development ? config.resolve : undefined,
    requirePostQuantum: config.requirePostQuantum,
    dnsServers: config.dnsServers,
    requireProvenDomains: config.requireProvenDomains,
    trustedCertificates: overrides.trustedCertificates,
    lookup: overrides.lookup,
    draw: async (budget, key, points) => budgets.draw(budget, key, points),
    onAccepted: (accountId) => events.emit(accountId, { kind: "share" }),
  });
  parts.defer(() => federation.close(OUTBOX_GRACE_MS));

  let handle = refuseWhileStarting;
  const listener = await listen({
    ...config.listen,
    source: overrides.source,
    certificate,
    handler: (exchange) => handle(exchange),
    log,
    ...(overrides.timeouts && { timeouts: overrides.timeouts }),
  });
  parts.defer(() => listener.close());
  const apiUrlOptions = { allowInsecure: config.development };
  const { href: apiUrl } = parseApiUrl(
    config.apiUrl ?? developmentApiUrl(config, listener.address),
    apiUrlOptions,
  );
  const watchPollMs = overrides.watchPollMs ?? WATCH_POLL_MS;
  const checkDatabase = async () => {
    await storage.accounts.byId(0);
  };
  const health = createNodeHealth({ checkDatabase, pollMs: watchPollMs, log });
  const documentMark = documentMarkOf(await storage.secrets.clusterSecret());
  const context: ServiceContext = {
    software: SOFTWARE,
    clock,
    log,
    stores: storage,
    domains,
    development: config.development,
    registrationOpen: config.registrationOpen,
    creationDifficulty: config.creationDifficulty,
    firstContactDifficulty: config.firstContactDifficulty,
    limits: config.limits,
    hosting: config.hosting,
    nodeKeys: createNodeKeys({ nodeKeys: storage.nodeKeys, clock, hints }),
    lookUpPublished: (domain, signal) => gatherPublished(federation.domainSources, domain, signal),
    apiUrl,
    documentMark,
    resolver: federation.resolver,
    inbound: federation.inbound,
    wakeOutbox: (domain) => federation.outbox.wake(domain),
    events,
    health,
    hints,
    spend: async (budget, key, points = 1) => requireNoWait(budgets.draw(budget, key, points)),
    requireBudget: async (budget, key) => requireNoWait(budgets.look(budget, key)),
    familiarPrefixes: createFamiliarPrefixes(),
    keySetAnswers: createKeySetAnswers({
      keySets: storage.keySets,
      clock,
      hints,
      firstContactDifficulty: config.firstContactDifficulty,
    }),
    watchPollMs,
    watchKeepAliveMs: WATCH_KEEP_ALIVE_MS,
    shutdown: stopping.signal,
  };

  const prefixes = apiPrefixes(apiUrl, config.development);
  const incoming = {
    limits: config.limits,
    bodies: createBodyMemory(MAX_HELD_REQUESTS * config.limits.maxRequestBytes),
    identify: (exchange: Exchange) => identifyCaller(exchange, context, config.trustedProxies),
    stopping: stopping.signal,
    log,
  };
  const blake3 = createBlake3Endpoint({
    ...incoming,
    spend: (caller) => spendHash(context, caller),
    hash: hashData,
  });
  const descriptors = createDescriptorEndpoint(encodeFiles(SCHEMA));
  handle = createHttpHandler({
    rpc: createRpcDispatcher({
      ...incoming,
      register: (router) => (overrides.register ?? registerServices)(router, context),
      // At the root too, for gRPC clients, which know no prefix.
      prefixes: [...new Set(["", ...prefixes])],
      largeServices: new Set(["keypears.v1.FederationService"]),
      // Session tokens and invitation codes, beside what callers choose.
      secretServices: new Set(["keypears.v1.AccountService", "keypears.v1.DomainService"]),
    }),
    routes: new Map(
      prefixes.flatMap((prefix) => [
        [prefix + BLAKE3_PATH, blake3],
        [prefix + DESCRIPTORS_PATH, descriptors],
      ]),
    ),
    discoveryDocument(domain) {
      // Of a suspended one too: where it is served here, the domain could not come back without it. It proves nothing.
      if (!domains.has(domain)) return undefined;
      return buildDiscoveryDocument(apiUrl, apiUrlOptions, domains.documentKey(domain));
    },
    documentMark,
    developmentDomain: config.development ? config.domains[0] : undefined,
    checkDatabase,
    stopping: stopping.signal,
    secure: certificate !== undefined,
    log,
  });

  federation.outbox.start();
  if (overrides.maintains !== false) {
    const maintenance = startRounds(
      MAINTENANCE_MS,
      (signal) => deleteExpired(storage, clock, signal),
      (error) => log.warn({ err: error }, "what has expired could not be deleted"),
    );
    parts.defer(() => maintenance.close());
    const waitingKeys = startRounds(
      MAINTENANCE_MS,
      (signal) => federation.lookAtWaitingKeys(signal),
      (error) => log.warn({ err: error }, "domains whose key waits could not be looked at"),
    );
    parts.defer(() => waitingKeys.close());
    const hostedDomains = startRounds(DOMAIN_ROUND_MS, createDomainRound(context), (error) =>
      log.warn({ err: error }, "the hosted domains could not be checked"),
    );
    parts.defer(() => hostedDomains.close());
  }
  logCryptoTiers(log);
  log.info(
    { domains: config.domains, ...listener.address, apiUrl, tls: certificate !== undefined },
    "listening",
  );

  const running = parts.move();
  let closed: Promise<void> | undefined;
  return {
    address: listener.address,
    apiUrl,
    log,
    async reloadCertificate() {
      if (config.tls === undefined) return;
      listener.replaceCertificate(await readCertificate(config.tls));
      log.info({}, "certificate reloaded");
    },
    close() {
      closed ??= close();
      return closed;
    },
  };

  async function close(): Promise<void> {
    log.info({}, "stopping");
    // While streams are still open, so that whoever watches the health of this node hears of it before they end.
    await health.stop();
    stopping.abort(shuttingDown());
    // Side by side, so that both together take no longer than one of them may.
    await Promise.all([listener.close(), federation.outbox.close(OUTBOX_GRACE_MS)]);
    await running.disposeAsync();
    log.info({}, "stopped");
  }
}

async function readCertificate({ certFile, keyFile }: NonNullable<NodeConfig["tls"]>): Promise<Certificate> {
  return { cert: await readPem("--tls-cert", certFile), key: await readPem("--tls-key", keyFile) };
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(`${option}: the file cannot be read (${code}): ${path}`);
  }
}

/** Opens a node's database, whose folder is made if there is none, and brings its tables up to date. @throws StorageError */
export async function openDatabase(config: NodeConfig): Promise<Storage> {
  const { database: url, databaseConnections: connections, listensForHints } = config;
  const path = /^sqlite:(?!:)(.+)$/.exec(url)?.[1];
  if (path !== undefined) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return openStorage({ url, connections, pooled: !listensForHints });
}

/** The road to other nodes on the same database, if it can have any. */
async function openHints({ database, listensForHints }: NodeConfig, log: Logger): Promise<Hints> {
  if (database.startsWith("sqlite:")) return noHints();
  if (!listensForHints) return unheardHints();
  const { createPostgresHints } = await import("../storage/postgres-hints.ts");
  return createPostgresHints({ url: database, log });
}

function budgetRates(limits: NodeLimits): Record<BudgetName, BudgetRate> {
  const attempts = limits.loginAttemptsPerMinute;
  const deliveries = { perSecond: limits.deliveriesPerSecond, burst: limits.deliveryBurst };
  return {
    lookup: { perSecond: limits.lookupsPerSecond, burst: limits.lookupBurst },
    login: perMinute(attempts),
    "login-address": perMinute(Math.ceil(attempts / 3)),
    "login-failures": perMinute(limits.failedLoginsPerMinute),
    creation: perMinute(attempts),
    send: { perSecond: limits.sendsPerSecond, burst: limits.sendBurst },
    account: { perSecond: limits.accountChangesPerSecond, burst: limits.accountChangeBurst },
    "domain-check": perMinute(DOMAIN_CHECKS_PER_MINUTE),
    proof: { perSecond: DOMAIN_PROOFS_PER_SECOND, burst: DOMAIN_PROOFS_PER_SECOND },
    // Half of all: no single prefix keeps the others from their proofs.
    "proof-source": { perSecond: DOMAIN_PROOFS_PER_SECOND / 2, burst: DOMAIN_PROOFS_PER_SECOND },
    // A failed signature costs many points, and takes what is left.
    "delivery-source": { ...deliveries, drains: true },
    "delivery-recipient": {
      perSecond: limits.recipientDeliveriesPerSecond,
      burst: limits.recipientDeliveryBurst,
    },
    "delivery-sender-domain": deliveries,
  };
}

function perMinute(points: number): BudgetRate {
  return { perSecond: points / 60, burst: points };
}

/** @throws ConnectError RATE_LIMITED unless there is nothing to wait for. */
function requireNoWait(retryAfterMs: number): void {
  if (retryAfterMs > 0) throw serviceError("RATE_LIMITED", "too many calls of this kind", { retryAfterMs });
}

function developmentApiUrl(config: NodeConfig, { host, port }: HostAndPort): string {
  const scheme = config.tls === undefined ? "http" : "https";
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}/api`;
}

/** Under /api, and where the API URL says. */
function apiPrefixes(apiUrl: string, development: boolean): string[] {
  return [...new Set(["/api", parseApiUrl(apiUrl, { allowInsecure: development }).path])];
}

/** Says which code computes what; loudly where one gave wrong answers and is not used. */
function logCryptoTiers(log: Logger): void {
  for (const { primitive, tier, considered } of cryptoReport()) {
    for (const one of considered) {
      if (one.status === "failed self-test") {
        log.error(
          { primitive, failed: one.tier, used: tier },
          "a crypto tier failed its self-test and is not used",
        );
      }
    }
  }
  const tiers = Object.fromEntries(cryptoReport().map(({ primitive, tier }) => [primitive, tier]));
  log.info({ tiers }, "crypto");
}

function refuseWhileStarting(exchange: Exchange): void {
  respondError(exchange.messages().response, 503, "STARTING", "this node is starting", {
    "Retry-After": "1",
  });
}

/** Deletes what has expired, a batch at a time so that nobody waits for it long. */
async function deleteExpired(storage: Storage, clock: Clock, signal: AbortSignal): Promise<void> {
  let deleted: number;
  do {
    deleted = signal.aborted ? 0 : await storage.received.deleteExpired(clock(), MAINTENANCE_BATCH);
  } while (deleted >= MAINTENANCE_BATCH);
}
