/** A real listener with real sockets in front of small services, without a database: for tests of the server alone. */

import { create } from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { HashService } from "../../gen/keypears/v1/hash_service_pb.ts";
import {
  type GetKeySetRequest,
  GetKeySetResponseSchema,
  KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { PeerError } from "../../src/federation/errors.ts";
import type { Logger } from "../../src/logger.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { createHttpHandler } from "../../src/server/http.ts";
import { type Certificate, type ListenerTimeouts, listen } from "../../src/server/listener.ts";
import { createBodyMemory } from "../../src/server/request-body.ts";
import { createRpcDispatcher } from "../../src/server/rpc/dispatcher.ts";
import { shuttingDown } from "../../src/server/rpc/errors.ts";
import { type Caller, callerKey } from "../../src/services/context.ts";
import { serviceError } from "../../src/services/errors.ts";
import { StorageError } from "../../src/storage/errors.ts";

export const SESSION_TOKEN = "A".repeat(43);
export const LIMITS = { maxRequestBytes: 8_192, maxAnonymousRequestBytes: 2_048, defaultDeadlineMs: 10_000 };
export const DOCUMENT = '{"version":1,"apiUrl":"https://acme.test/api"}';

export interface LogEntry {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface TestServer {
  readonly origin: string;
  readonly port: number;
  readonly log: readonly LogEntry[];
  /** Resolves when a method was entered the given number of times. */
  entered(times: number): Promise<void>;
  /** How often methods were entered so far. */
  entrances(): number;
  /** Lets the methods that wait for it go on. */
  release(): void;
  databaseFails: boolean;
  stop(): Promise<void>;
}

export interface TestServerOptions {
  readonly certificate?: Certificate;
  readonly timeouts?: Partial<ListenerTimeouts>;
  readonly defaultDeadlineMs?: number;
  readonly maxRequestBytes?: number;
  readonly development?: boolean;
  readonly streamMessageMs?: number;
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const entries: LogEntry[] = [];
  const log = recordingLogger(entries);
  const stopping = new AbortController();
  const gate = Promise.withResolvers<void>();
  let entrances = 0;
  const waiting: { times: number; resolve: () => void }[] = [];
  const enter = () => {
    entrances += 1;
    for (const { times, resolve } of waiting) if (entrances >= times) resolve();
  };
  const server = { databaseFails: false };
  const handler = createHttpHandler({
    rpc: createRpcDispatcher({
      register: (router) => register(router, gate.promise, enter),
      prefixes: ["", "/api"],
      limits: {
        ...LIMITS,
        defaultDeadlineMs: options.defaultDeadlineMs ?? LIMITS.defaultDeadlineMs,
        maxRequestBytes: options.maxRequestBytes ?? LIMITS.maxRequestBytes,
      },
      largeServices: new Set(["keypears.v1.FederationService"]),
      bodies: createBodyMemory(64 * (options.maxRequestBytes ?? LIMITS.maxRequestBytes)),
      ...(options.streamMessageMs !== undefined && { streamMessageMs: options.streamMessageMs }),
      identify: async (request) => testCaller(request.headers.authorization),
      stopping: stopping.signal,
      log,
    }),
    routes: new Map(),
    discoveryDocument: (domain) =>
      ["acme.test", "xn--bcher-kva.test"].includes(domain) ? DOCUMENT : undefined,
    documentMark: "0a".repeat(16),
    developmentDomain: options.development ? "acme.test" : undefined,
    checkDatabase: async () => {
      if (server.databaseFails) throw new StorageError("DATABASE_UNAVAILABLE");
    },
    stopping: stopping.signal,
    secure: options.certificate !== undefined,
    log,
  });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    handler,
    log,
    ...(options.certificate && { certificate: options.certificate }),
    ...(options.timeouts && { timeouts: options.timeouts }),
  });
  const { port } = listener.address;
  return Object.assign(server, {
    origin: `${options.certificate ? "https" : "http"}://127.0.0.1:${port}`,
    port,
    log: entries,
    entered: (times: number) =>
      entrances >= times
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            waiting.push({ times, resolve });
          }),
    entrances: () => entrances,
    release: () => gate.resolve(),
    stop() {
      stopping.abort(shuttingDown());
      return listener.close();
    },
  });
}

function testCaller(authorization: string | undefined): Caller {
  const base = { sourcePrefix: "127.0.0.0/24", connectionId: "c" };
  if (authorization === undefined) return { ...base, session: undefined };
  if (authorization !== `Bearer ${SESSION_TOKEN}`) return { ...base, session: "invalid" };
  return { ...base, session: {} as Exclude<Caller["session"], undefined | "invalid"> };
}

/** What each address makes the method do. */
async function getKeySet(
  request: GetKeySetRequest,
  call: HandlerContext,
  gate: Promise<void>,
  enter: () => void,
) {
  enter();
  switch (request.address) {
    case "wait":
      await gate;
      break;
    case "forever":
      await new Promise(() => {});
      break;
    case "service-error":
      throw serviceError("ADDRESS_UNKNOWN", "there is no such address");
    case "protocol-error":
      throw new ProtocolError("ADDRESS_INVALID", "local part is empty", { field: "address" });
    case "storage-error":
      throw new StorageError("DATABASE_BUSY");
    case "peer-error":
      throw new PeerError("PEER_ADDRESS_FORBIDDEN", "evil.test", "this node does not connect to evil.test");
    case "bare-error":
      throw new ConnectError("a detail that only developers know");
    case "bug":
      throw new TypeError("hunter2 is not a function");
  }
  const session = call.values.get(callerKey).session;
  const status = session === undefined ? 1 : session === "invalid" ? 2 : 3;
  return create(GetKeySetResponseSchema, {
    published: {
      keySet: { body: new TextEncoder().encode(request.address) },
      activeNumber: request.number,
      firstContactDifficulty: status,
    },
  });
}

function register(router: ConnectRouter, gate: Promise<void>, enter: () => void): void {
  router.service(KeySetService, {
    getKeySet: (request, call) => getKeySet(request, call, gate, enter),
    batchGetKeySets: ({ lookups }) => ({ results: lookups.map(() => ({})) }),
    publishKeySet: ({ loginKey }) => ({ activeNumber: loginKey.length }),
  });
  router.service(DiscoveryService, { getServerInfo: () => ({ software: "test", protocolVersions: [1] }) });
  router.service(HashService, {
    // No hash: it counts bytes, and waits after a piece that begins with 255.
    async blake3Stream(requests) {
      enter();
      let bytesHashed = 0n;
      for await (const { data } of requests) {
        bytesHashed += BigInt(data.length);
        if (data[0] !== 0xff) continue;
        enter();
        await gate;
      }
      return { bytesHashed };
    },
  });
  router.service(FederationService, { deliverShares: () => ({}) });
  router.service(ShareService, {
    async *watchShares({ afterSequence }, call) {
      enter();
      yield {};
      if (afterSequence === 1n) return;
      if (afterSequence === 2n) throw new TypeError("hunter2 is not iterable");
      await new Promise((_, reject) => {
        call.signal.addEventListener("abort", () => reject(call.signal.reason));
      });
    },
  });
}

function recordingLogger(entries: LogEntry[]): Logger {
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    entries.push({ level, fields, message });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
