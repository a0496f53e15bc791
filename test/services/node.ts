// A whole node behind an in-memory transport: the real services, SQLite in a file of its own, the real inbound pipeline and
// real budgets; a clock that stands still until a test moves it. Sockets are tested elsewhere.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Client,
  createClient,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import Sqlite from "better-sqlite3";
import { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { DomainService } from "../../gen/keypears/v1/domain_service_pb.ts";
import { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { mineStamp, randomBytes, stampKey } from "../../src/crypto/index.ts";
import type { FetchDocument } from "../../src/federation/document-fetcher.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { createInbound } from "../../src/federation/inbound.ts";
import { createResolver } from "../../src/federation/resolver.ts";
import { createSenderKeyDirectory } from "../../src/federation/sender-keys.ts";
import { noHints } from "../../src/hints.ts";
import { silentLogger } from "../../src/logger.ts";
import {
  buildKeySet,
  type ParsedKeySet,
  type PrivateSeeds,
  parseKeySetBody,
} from "../../src/protocol/key-set.ts";
import { sealShare } from "../../src/protocol/seal.ts";
import { createBudgets } from "../../src/server/budgets.ts";
import { callerKey, type ServiceContext } from "../../src/services/context.ts";
import { serviceError, toConnectError } from "../../src/services/errors.ts";
import { createAccountEvents } from "../../src/services/events.ts";
import { createFamiliarPrefixes } from "../../src/services/familiar-prefixes.ts";
import { createNodeHealth } from "../../src/services/health.ts";
import { openNodeDomains } from "../../src/services/hosted-domains.ts";
import { registerServices } from "../../src/services/index.ts";
import { createKeySetAnswers } from "../../src/services/key-set-answers.ts";
import { createNodeKeys } from "../../src/services/node-keys.ts";
import { authenticate } from "../../src/services/session-token.ts";
import { openStorage, type Storage } from "../../src/storage/open.ts";

/** The moment at which every test begins. */
export const START = Date.UTC(2026, 0, 15, 12);

/** All services as one caller sees them. */
export interface Clients {
  readonly discovery: Client<typeof DiscoveryService>;
  readonly keySets: Client<typeof KeySetService>;
  readonly accounts: Client<typeof AccountService>;
  readonly shares: Client<typeof ShareService>;
  readonly federation: Client<typeof FederationService>;
  readonly domains: Client<typeof DomainService>;
}

/** Who calls. */
export interface CallerOptions {
  /** Sent as a bearer token. */
  readonly token?: string;
  readonly sourcePrefix?: string;
  /** Parts of the node that this caller meets otherwise. */
  readonly context?: Partial<ServiceContext>;
}

/** A running node. */
export interface TestNode {
  readonly context: ServiceContext;
  readonly storage: Storage;
  /** The services, called with a session or without. */
  as(caller?: CallerOptions): Clients;
  /** What the clients of {@link as} call through. */
  transport(caller?: CallerOptions): Transport;
  /** Lets time pass. */
  advance(ms: number): void;
  now(): number;
  /** Everything in the database, to show that nothing changed. */
  contents(): string;
  /** How often the outbox was woken. */
  wakes(): number;
  /** Stops the node as SIGTERM would: open streams end. */
  shutDown(): void;
  close(): Promise<void>;
}

/** Parts of the context that a test may want otherwise. */
export interface NodeOptions extends Partial<Omit<ServiceContext, "limits" | "hosting">> {
  readonly hosting?: Partial<ServiceContext["hosting"]>;
  readonly limits?: Partial<ServiceContext["limits"]>;
  readonly fetchDocument?: FetchDocument;
  /** Attempts to make an account per prefix and minute. */
  readonly creationsPerMinute?: number;
  readonly domainChecksPerMinute?: number;
}

const DOMAINS = ["acme.test", "xn--bcher-kva.test"];
/** Where the methods of every node here live. */
export const API_URL = "https://host.test/api";

const HOSTING: ServiceContext["hosting"] = {
  maxDomains: 100,
  maxPerAdministrator: 10,
  maxAccounts: 100,
  maxStoredBytes: 10 * 1024 * 1024,
  maxInvitations: 100,
};

/** Starts a node on an empty database. */
export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const folder = await mkdtemp(join(tmpdir(), "keypears-services-"));
  const file = join(folder, "node.db");
  let now = START;
  const clock = () => now;
  const storage = await openStorage({ url: `sqlite:${file}`, clock });
  const reader = new Sqlite(file, { readonly: true });
  const shutdown = new AbortController();
  const events = createAccountEvents();
  let wakes = 0;

  const limits: ServiceContext["limits"] = {
    maxRequestBytes: 4 * 1024 * 1024,
    maxAnonymousRequestBytes: 1024 * 1024,
    maxEnvelopeBytes: 256 * 1024,
    maxDeliveryEnvelopes: 256,
    maxBatchLookups: 100,
    maxKeySets: 100,
    maxKeySetsPerDay: 5,
    defaultDeadlineMs: 15_000,
    lookupsPerSecond: 1_000,
    lookupBurst: 1_000,
    loginAttemptsPerMinute: 1_000,
    failedLoginsPerMinute: 1_000,
    sendsPerSecond: 1_000,
    sendBurst: 1_000,
    accountChangesPerSecond: 1_000,
    accountChangeBurst: 1_000,
    maxContacts: 10_000,
    maxAccountBytes: 10 * 1024 * 1024,
    maxFirstContactsPerDay: 20,
    deliveriesPerSecond: 1_000,
    deliveryBurst: 1_000,
    recipientDeliveriesPerSecond: 1_000,
    recipientDeliveryBurst: 1_000,
    ...options.limits,
  };
  const perMinute = (points: number) => ({ perSecond: points / 60, burst: points });
  const budgets = createBudgets(
    {
      lookup: { perSecond: limits.lookupsPerSecond, burst: limits.lookupBurst },
      login: perMinute(limits.loginAttemptsPerMinute),
      "login-address": perMinute(Math.ceil(limits.loginAttemptsPerMinute / 3)),
      "login-failures": perMinute(limits.failedLoginsPerMinute),
      send: { perSecond: limits.sendsPerSecond, burst: limits.sendBurst },
      account: { perSecond: limits.accountChangesPerSecond, burst: limits.accountChangeBurst },
      creation: perMinute(options.creationsPerMinute ?? 1_000),
      "domain-check": perMinute(options.domainChecksPerMinute ?? 1_000),
      proof: { perSecond: 10, burst: 10 },
      "proof-source": { perSecond: 5, burst: 10 },
    },
    clock,
  );

  const senderKeys = createSenderKeyDirectory({
    clock,
    async fetchKeySet(domain, request) {
      const error = (reason: string) => new PeerError("PEER_REFUSED", domain, reason, { peerReason: reason });
      const found = await storage.keySets.get(request.address, request.number);
      if (found.kind === "address-unknown") throw error("ADDRESS_UNKNOWN");
      if (found.kind === "number-unknown") throw error("KEY_SET_UNKNOWN");
      const answer = await as().keySets.getKeySet(request);
      if (answer.published === undefined) throw error("KEY_SET_UNKNOWN");
      return answer.published;
    },
  });
  const hints = options.hints ?? noHints();
  const hosting = { ...HOSTING, ...options.hosting };
  const domains = await openNodeDomains({
    own: DOMAINS,
    domains: storage.domains,
    hints,
    log: silentLogger,
    maxStoredBytes: hosting.maxStoredBytes,
  });
  const context: ServiceContext = {
    software: "keypears-node/0.0.0-test",
    clock,
    log: silentLogger,
    stores: storage,
    domains,
    nodeKeys: createNodeKeys({ nodeKeys: storage.nodeKeys, clock, hints }),
    lookUpPublished: async (domain) => {
      const failure = new PeerError("DOMAIN_NOT_FOUND", domain, `${domain} does not exist`);
      const { message } = failure;
      return {
        document: { kind: "failed", message, retry: false },
        txt: { kind: "absent" },
        fetched: undefined,
        failure,
      };
    },
    apiUrl: API_URL,
    documentMark: "0a".repeat(16),
    development: true,
    registrationOpen: true,
    creationDifficulty: 16,
    firstContactDifficulty: 1,
    resolver: createResolver({
      clock,
      log: silentLogger,
      async fetch(domain, signal) {
        const found = await options.fetchDocument?.(domain, signal);
        if (found === undefined) throw new PeerError("DOMAIN_NOT_FOUND", domain, `${domain} does not exist`);
        return { ...found, proof: "unproven" };
      },
    }),
    inbound: createInbound({
      clock,
      log: silentLogger,
      stores: storage,
      senderKeys,
      domains,
      firstContactDifficulty: 1,
      maxEnvelopeBytes: limits.maxEnvelopeBytes,
      maxAccountBytes: limits.maxAccountBytes,
      maxFirstContactsPerDay: limits.maxFirstContactsPerDay,
      draw: async () => 0,
      onAccepted: (accountId) => events.emit(accountId, { kind: "share" }),
    }),
    wakeOutbox: () => {
      wakes += 1;
    },
    events,
    health: createNodeHealth({
      checkDatabase: async () => {
        await storage.accounts.byId(0);
      },
      pollMs: 25,
      log: silentLogger,
    }),
    hints,
    spend: async (budget, key, points = 1) => requireNoWait(budgets.draw(budget, key, points)),
    requireBudget: async (budget, key) => requireNoWait(budgets.look(budget, key)),
    familiarPrefixes: createFamiliarPrefixes(),
    keySetAnswers: createKeySetAnswers({
      keySets: options.stores?.keySets ?? storage.keySets,
      clock,
      hints,
      firstContactDifficulty: options.firstContactDifficulty ?? 1,
    }),
    watchPollMs: 25,
    watchKeepAliveMs: 10_000,
    shutdown: shutdown.signal,
    ...options,
    limits,
    hosting,
  };

  function transport(caller: CallerOptions = {}): Transport {
    const identify: Interceptor = (next) => async (request) => {
      request.contextValues.set(callerKey, {
        sourcePrefix: caller.sourcePrefix ?? "192.0.2.0/24",
        connectionId: "c1",
        session: await authenticate(context, request.header.get("authorization")),
      });
      return next(request);
    };
    return createRouterTransport((router) => registerServices(router, { ...context, ...caller.context }), {
      transport: { interceptors: [bearer(caller.token)] },
      router: { interceptors: [translateErrors, identify] },
    });
  }

  function as(caller: CallerOptions = {}): Clients {
    const through = transport(caller);
    return {
      discovery: createClient(DiscoveryService, through),
      keySets: createClient(KeySetService, through),
      accounts: createClient(AccountService, through),
      shares: createClient(ShareService, through),
      federation: createClient(FederationService, through),
      domains: createClient(DomainService, through),
    };
  }

  return {
    context,
    storage,
    as,
    transport,
    advance: (ms) => {
      now += ms;
    },
    now: () => now,
    contents: () => contentsOf(reader),
    wakes: () => wakes,
    shutDown: () => shutdown.abort(),
    async close() {
      shutdown.abort();
      domains.close();
      reader.close();
      await storage.close();
      await rm(folder, { recursive: true });
    },
  };
}

function requireNoWait(retryAfterMs: number): void {
  if (retryAfterMs > 0) throw serviceError("RATE_LIMITED", "too many calls", { retryAfterMs });
}

function bearer(token: string | undefined): Interceptor {
  return (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

/** What the server does with what a service throws, streams included. */
const translateErrors: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: translated(response.message) } : response;
  } catch (error) {
    throw toConnectError(error);
  }
};

async function* translated<Message>(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (error) {
    throw toConnectError(error);
  }
}

/** Every row of every table but what the node keeps for itself. */
function contentsOf(reader: Sqlite.Database): string {
  const tables = reader
    .prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name")
    .pluck()
    .all() as string[];
  const rows = tables.map((table) => [table, reader.prepare(`select * from "${table}"`).raw().all()]);
  return JSON.stringify(rows, (_key, value) => (typeof value === "bigint" ? String(value) : value));
}

/** Bytes as {@link TestNode.contents} shows them. */
export function asStored(bytes: Uint8Array): string {
  return [...bytes].join(",");
}

/** A person with an account, a session and keys. */
export interface Person extends Clients {
  readonly address: string;
  readonly token: string;
  readonly sessionId: string;
  readonly loginKey: Uint8Array;
  readonly seeds: PrivateSeeds;
  readonly keySet: ParsedKeySet;
}

/** Fresh private seeds. */
export function newSeeds(): PrivateSeeds {
  return {
    ed25519: randomBytes(32),
    x25519: randomBytes(32),
    mlDsa65: randomBytes(32),
    mlKem768: randomBytes(64),
  };
}

/** Sealed seeds of the right lengths: what is in them no server can tell. */
export function sealedKeys(number: number) {
  return {
    number,
    sealedEd25519Seed: randomBytes(60),
    sealedX25519Seed: randomBytes(60),
    sealedMlDsa65Seed: randomBytes(60),
    sealedMlKem768Seed: randomBytes(92),
  };
}

/** Password parameters at the lowest cost that is allowed. */
export function passwordParameters() {
  return { salt: randomBytes(32), memoryKib: 65_536, passes: 3, lanes: 1 };
}

/** A complete request to make an account, its challenge solved. */
export async function creationRequest(node: TestNode, address: string, seeds = newSeeds()) {
  const { challenge, difficulty } = await node.as().accounts.getCreationChallenge({ address });
  return {
    address,
    challenge,
    nonce: await mineStamp(stampKey(challenge.slice(0, 32), address), difficulty),
    passwordParameters: passwordParameters(),
    loginKey: randomBytes(32),
    wrappedAccountKey: { kind: "password", number: 1, wrappedKey: randomBytes(60) },
    keySet: buildKeySet({ address, createdAt: node.now(), seeds }),
    sealedKeys: sealedKeys(1),
    deviceName: "laptop",
  };
}

/** Makes an account. */
export async function createPerson(node: TestNode, address: string): Promise<Person> {
  const seeds = newSeeds();
  const request = await creationRequest(node, address, seeds);
  const created = await node.as().accounts.createAccount(request);
  return {
    ...node.as({ token: created.sessionToken }),
    address,
    token: created.sessionToken,
    sessionId: created.session?.id ?? "",
    loginKey: request.loginKey,
    seeds,
    keySet: parseKeySetBody(request.keySet.body),
  };
}

/** Opens another session of a person's account. */
export async function logIn(node: TestNode, person: Person, deviceName: string): Promise<Person> {
  const { address, loginKey } = person;
  const opened = await node.as().accounts.logIn({ address, loginKey, deviceName });
  const token = opened.sessionToken;
  return { ...person, ...node.as({ token }), token, sessionId: opened.session?.id ?? "" };
}

/** Seals a text from one person to another. */
export function seal(
  node: TestNode,
  from: Pick<Person, "keySet" | "seeds">,
  to: Pick<Person, "keySet">,
  { text = "a secret", createdAt = node.now(), expiresAt = 0 } = {},
) {
  return sealShare({
    content: { kind: "text", text },
    sender: from,
    recipient: to.keySet,
    createdAt,
    expiresAt,
  });
}

/** Delivers a text from one person to another as another node would, and answers with its share id. */
export async function deliver(
  node: TestNode,
  from: Person,
  to: Person,
  text = "a secret",
): Promise<Uint8Array> {
  const { envelope, shareId } = seal(node, from, to, { text });
  const { results } = await node.as().federation.deliverShares({ envelopes: [envelope] });
  if (results[0]?.outcome !== 1) throw new Error(`was not accepted: ${results[0]?.message}`);
  return shareId;
}

/** An address of another domain with keys, which has no account here. */
export function stranger(address: string, node: TestNode): Pick<Person, "keySet" | "seeds"> {
  const seeds = newSeeds();
  const { body } = buildKeySet({ address, createdAt: node.now(), seeds });
  return { seeds, keySet: parseKeySetBody(body) };
}
