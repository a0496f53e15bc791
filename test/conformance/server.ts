/**
 * The server under test of Connect's conformance suite: the node's own listener and dispatcher in front of the suite's service.
 * The suite says on the standard input what to start, hears on the standard output where it is, and ends it by SIGTERM; each
 * message has its length in front, four bytes, big-endian (ServerCompatRequest and ServerCompatResponse in
 * third_party/conformance/connectrpc/conformance/v1/server_compat.proto).
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { concat, fromUtf8, u32 } from "../../src/crypto/bytes.ts";
import { listen } from "../../src/server/listener.ts";
import { createLogger } from "../../src/server/logging.ts";
import { createBodyMemory } from "../../src/server/request-body.ts";
import { createRpcDispatcher } from "../../src/server/rpc/dispatcher.ts";
import { shuttingDown } from "../../src/server/rpc/errors.ts";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { conformanceService, registry } from "./service.ts";

const LENGTH_BYTES = 4;
/** Of a message, where the suite names no limit. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const DEADLINE_MS = 60_000;

const asked = await readRequest();
const log = await createLogger({ level: "warn", format: "json" }, process.stderr);
const stopping = new AbortController();
const maxBytes = asked.messageReceiveLimit || MAX_MESSAGE_BYTES;
const rpc = createRpcDispatcher({
  register: (router) => router.service(ConformanceService, conformanceService),
  registry,
  prefixes: [""],
  limits: {
    maxRequestBytes: maxBytes,
    maxAnonymousRequestBytes: maxBytes,
    defaultDeadlineMs: DEADLINE_MS,
  },
  largeServices: new Set(),
  bodies: createBodyMemory(64 * MAX_MESSAGE_BYTES),
  toCallError: bareError,
  stopping: stopping.signal,
  log,
});
const certificate = certificateOf(asked);
const listener = await listen({
  host: "127.0.0.1",
  port: 0,
  certificate,
  handler: (exchange) => {
    if (!rpc(exchange)) exchange.respond({ status: 404, headers: [] });
  },
  log,
});
process.once("SIGTERM", () => {
  stopping.abort(shuttingDown());
  void listener.close();
});
const response = toBinary(
  ServerCompatResponseSchema,
  create(ServerCompatResponseSchema, {
    ...listener.address,
    pemCert: asked.serverCreds?.cert ?? new Uint8Array(),
  }),
);
process.stdout.write(concat(u32(response.length), response));

/** The one request of the suite to this process. */
async function readRequest(): Promise<ServerCompatRequest> {
  let received = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    received = Buffer.concat([received, chunk]);
    if (received.length < LENGTH_BYTES) continue;
    const end = LENGTH_BYTES + received.readUInt32BE();
    if (received.length >= end) {
      return fromBinary(ServerCompatRequestSchema, received.subarray(LENGTH_BYTES, end));
    }
  }
  throw new Error("the standard input ended within the request");
}

function certificateOf({ useTls, serverCreds }: ServerCompatRequest) {
  if (!useTls) return undefined;
  if (serverCreds === undefined) throw new Error("the request asks for TLS, but gives no certificate");
  return { cert: fromUtf8(serverCreds.cert), key: fromUtf8(serverCreds.key) };
}

/** An error as the method threw it. The suite counts details, so the reason that a node gives with each of its own is taken off. */
function bareError(thrown: unknown): ConnectError {
  const error = ConnectError.from(thrown);
  error.details = error.details.filter((detail) => !("desc" in detail) || detail.desc !== ErrorInfoSchema);
  return error;
}
