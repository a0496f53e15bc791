// The server of a hostile peer. Each domain that leads to it lies in its own way: the first label of the domain names the
// lie, in its discovery document or in what its methods answer. A domain with any other label is honest.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2, { type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  DeliveryOutcome,
  type DeliveryResult,
  DeliveryResultSchema,
  FederationService,
} from "../../../gen/keypears/v1/federation_service_pb.ts";
import type { KeySet } from "../../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../../gen/keypears/v1/key_set_service_pb.ts";
import { concat, randomBytes } from "../../../src/crypto/bytes.ts";
import { parseEnvelope } from "../../../src/protocol/envelope.ts";
import type { Credentials } from "../../support/certificates.ts";
import { makeKeySet } from "../../support/people.ts";
import type { Identities } from "./identities.ts";

/** Where the peer listens, and what came to it. */
export interface Host {
  readonly port: number;
  /** Port of a server that nobody should ever be led to. */
  readonly trapPort: number;
  /** Requests by domain or label, and connections to the trap. */
  counts(): { readonly requests: Readonly<Record<string, number>>; readonly trapped: number };
  /** Lies no more for domains with this label. */
  reform(label: string): void;
  /** Ends every connection that is open. */
  cutConnections(): void;
}

type Request = IncomingMessage | Http2ServerRequest;
/** What the two versions have in common, as far as it is used here. */
type Response = ServerResponse;

interface Lie {
  readonly response: Response;
  /** What was asked for. */
  readonly url: string;
  /** Origin of the trap. */
  readonly trap: string;
}

const MIB = 1024 * 1024;

/** Discovery documents that are none, by the label of the domain. */
const DOCUMENT_LIES: Readonly<Record<string, (lie: Lie) => void>> = {
  "garbage-document": ({ response }) => void response.end(randomBytes(500)),
  "html-document": ({ response }) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>parked</title>");
  },
  "empty-document": ({ response }) => void response.end(),
  "deep-document": ({ response }) => void response.end("[".repeat(60_000)),
  "large-document": ({ response }) =>
    void response.end(JSON.stringify({ version: 1, filler: "x".repeat(MIB) })),
  "endless-document": ({ response }) => endless(response),
  "compressed-document": ({ response }) => {
    response.setHeader("content-encoding", "gzip");
    response.end(gzipSync(Buffer.alloc(10 * MIB)));
  },
  "older-document": ({ response }) => void response.end(JSON.stringify({ apiDomain: "host.example" })),
  "newer-document": ({ response }) =>
    void response.end(JSON.stringify({ version: 99, apiUrl: "https://x.example" })),
  "hanging-document": () => {},
  "dripping-document": ({ response }) => drip(response),
  "cut-document": ({ response }) => {
    response.setHeader("content-length", "500");
    response.write('{"version":1,');
    setTimeout(() => response.destroy(), 50);
  },
  "missing-document": ({ response }) => void response.writeHead(404).end(),
  "failing-document": ({ response }) => void response.writeHead(500).end(),
  "redirect-to-private": (lie) => redirect(lie, "https://10.0.0.1/"),
  "redirect-to-metadata": (lie) => redirect(lie, "http://169.254.169.254/latest/meta-data/"),
  "redirect-to-mapped-private": (lie) => redirect(lie, "https://[::ffff:10.0.0.1]/"),
  "redirect-to-loopback-name": (lie) =>
    redirect(lie, `${lie.trap.replace("127.0.0.1", "loopback.example")}/`),
  "redirect-to-file": (lie) => redirect(lie, "file:///etc/passwd"),
  "redirect-with-credentials": (lie) => redirect(lie, "https://user:word@other.example/"),
  "redirect-in-circles": (lie) => redirect(lie, lie.url),
  "api-at-private-address": ({ response }) => document(response, "https://192.168.1.1/api"),
  "api-with-credentials": ({ response }) => document(response, "https://user:word@api.example/api"),
  "api-at-loopback-name": ({ response, trap }) =>
    document(response, `${trap.replace("http://127.0.0.1", "https://loopback.example")}/api`),
};

/** Answers to calls that are no answers, by the label of the domain. */
const CALL_LIES: Readonly<Record<string, (lie: Lie) => void>> = {
  "garbage-calls": ({ response }) => message(response, randomBytes(500)),
  "html-calls": ({ response }) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>maintenance</title>");
  },
  "empty-calls": ({ response }) => message(response, new Uint8Array()),
  "hanging-calls": () => {},
  "cut-calls": ({ response }) => {
    response.setHeader("content-type", "application/proto");
    response.setHeader("content-length", "500");
    response.write(randomBytes(10));
    setTimeout(() => response.destroy(), 50);
  },
  "endless-calls": ({ response }) => {
    response.setHeader("content-type", "application/proto");
    endless(response);
  },
  "bomb-calls": ({ response }) => {
    response.setHeader("content-encoding", "gzip");
    message(response, gzipSync(Buffer.alloc(64 * MIB)));
  },
  "redirect-calls": (lie) => redirect(lie, `${lie.trap}/`),
  "forbidding-calls": ({ response }) => void response.writeHead(403).end("go away \u001b[31m"),
};

/** Results of deliveries that are lies, by the label of the domain. */
const RESULT_LIES: Readonly<Record<string, (honest: DeliveryResult[]) => DeliveryResult[]>> = {
  "too-few-results": () => [],
  "penitent-results": () => [],
  "too-many-results": (honest) => [...honest, ...honest],
  "other-ids": (honest) => honest.map((result) => ({ ...result, shareId: randomBytes(32) })),
  "no-ids": (honest) => honest.map((result) => ({ ...result, shareId: new Uint8Array() })),
  "unspecified-outcomes": (honest) =>
    honest.map((result) => ({ ...result, outcome: DeliveryOutcome.UNSPECIFIED })),
  "unknown-outcomes": (honest) => honest.map((result) => ({ ...result, outcome: 99 as DeliveryOutcome })),
  "later-forever": (honest) =>
    honest.map((result) => ({
      ...result,
      outcome: DeliveryOutcome.RETRY_LATER,
      message: "come back\r\n\u001b[2Jlater\u202e",
      retryAfterMs: 0xffff_ffff,
    })),
  duplicates: (honest) => honest.map((result) => ({ ...result, outcome: DeliveryOutcome.DUPLICATE })),
};

type PublishedSet = ReturnType<Identities["publish"]>;

/** Key sets that are lies, by the label of the domain: what is changed in the honest answer. */
const KEY_SET_LIES: Readonly<Record<string, (honest: KeySet) => Partial<PublishedSet>>> = {
  "keys-of-another": (keySet) => ({
    keySet: { ...keySet, ...makeKeySet("somebody@else.test", Date.now()).record },
  }),
  "keys-unsigned": (keySet) => ({ keySet: { ...keySet, selfSignature: new Uint8Array() } }),
  "keys-signed-wrong": (keySet) => ({ keySet: { ...keySet, selfSignature: randomBytes(3_373) } }),
  "keys-truncated": (keySet) => ({ keySet: { ...keySet, body: keySet.body.subarray(0, -40) } }),
  "keys-not-canonical": (keySet) => ({
    keySet: { ...keySet, body: concat(Uint8Array.of(0x08, 0x01), keySet.body) },
  }),
  "keys-contradicting": () => ({ supersededAt: 5n }),
  "keys-missing": () => ({ keySet: undefined }),
};

/** Every label that lies, by where it does. */
export const LIES = {
  documents: Object.keys(DOCUMENT_LIES),
  calls: Object.keys(CALL_LIES),
  results: Object.keys(RESULT_LIES),
  keySets: Object.keys(KEY_SET_LIES),
};

/** Starts the server; over TLS with a certificate. */
export async function startHost(
  identities: Identities,
  listen: { readonly address: string; readonly port: number; readonly credentials?: Credentials | undefined },
  apiOrigin: string | undefined,
): Promise<Host> {
  const requests: Record<string, number> = {};
  const reformed = new Set<string>();
  let trapped = 0;
  const trap = http.createServer((_request, response) => void response.end("{}"));
  trap.on("connection", () => trapped++);
  const trapPort = await listening(trap, listen.address, 0);

  const answerCall = connectNodeAdapter({
    routes(router) {
      router.service(KeySetService, {
        getKeySet(request, context) {
          const published = identities.publish(request.address, request.number);
          const lie = KEY_SET_LIES[context.requestHeader.get("x-label") ?? ""];
          return { published: { ...published, ...(published.keySet && lie?.(published.keySet)) } };
        },
      });
      router.service(FederationService, {
        deliverShares({ envelopes }, context) {
          const honest = envelopes.map((envelope) =>
            create(DeliveryResultSchema, {
              shareId: parseEnvelope(envelope).shareId,
              outcome: DeliveryOutcome.ACCEPTED,
            }),
          );
          const label = context.requestHeader.get("x-label") ?? "";
          const lie = reformed.has(label) ? undefined : RESULT_LIES[label];
          return { results: lie === undefined ? honest : lie(honest) };
        },
      });
    },
  });

  const answer = (request: Request, given: ServerResponse | Http2ServerResponse): void => {
    const response = given as Response;
    const scheme = listen.credentials === undefined ? "http" : "https";
    const origin = `${scheme}://${listen.address}:${port}`;
    const authority = ("authority" in request ? request.authority : undefined) ?? request.headers.host ?? "";
    const url = `${scheme}://${authority}${request.url}`;
    const lie = { response, url, trap: `http://127.0.0.1:${trapPort}` };
    const [, label = "", rest = ""] = /^\/([\w-]+)\/api(\/.*)$/.exec(request.url ?? "") ?? [];
    const domain = authority.replace(/:\d+$/, "");
    const counted = label === "" ? domain : label;
    requests[counted] = (requests[counted] ?? 0) + 1;
    const name = domain.split(".", 1)[0] ?? "";
    if (label === "") {
      const lying = DOCUMENT_LIES[name];
      if (lying === undefined) document(response, `${apiOrigin ?? origin}/${name}/api`);
      else lying(lie);
    } else if (CALL_LIES[label] !== undefined && !reformed.has(label)) {
      CALL_LIES[label](lie);
    } else {
      request.url = rest;
      request.headers["x-label"] = label;
      answerCall(request, response);
    }
  };
  const server: NetServer =
    listen.credentials === undefined
      ? http.createServer(answer)
      : http2.createSecureServer({ ...listen.credentials, minVersion: "TLSv1.3", allowHTTP1: true }, answer);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listening(server, listen.address, listen.port);
  return {
    port,
    trapPort,
    counts: () => ({ requests, trapped }),
    reform: (label) => void reformed.add(label),
    cutConnections() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function listening(server: NetServer, address: string, port: number): Promise<number> {
  // What a connection dies of is the other side's business.
  server.on("clientError", (_error, socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, () => resolve((server.address() as AddressInfo).port));
  });
}

function document(response: Response, apiUrl: string): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ version: 1, apiUrl }));
}

function message(response: Response, bytes: Uint8Array): void {
  response.setHeader("content-type", "application/proto");
  response.end(bytes);
}

function redirect({ response }: Lie, location: string): void {
  response.writeHead(307, { location }).end();
}

function endless(response: Response): void {
  const more = () => {
    while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, 0x20)));
  };
  response.on("drain", more);
  more();
}

function drip(response: Response): void {
  const timer = setInterval(() => response.write(" "), 100);
  response.on("close", () => clearInterval(timer));
}
