/**
 * The servers beside ours, as a program: `node servers.ts FOLDER KIND`. Each serves GetKeySet with the two answers that lie in
 * the folder, over HTTP/2 in cleartext and over HTTP/1.1 as far as it speaks them, and prints `{ "grpc": port, "json": port }`.
 * They do what their users would write: those with a message encode it for every answer, the bare ones have its bytes.
 */

import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  type GetKeySetRequest,
  GetKeySetRequestSchema,
  type GetKeySetResponse,
  GetKeySetResponseSchema,
  KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { readAnswers, readBytes } from "./answers.ts";
import { grpcFrame } from "./question.ts";

/** What can be started. */
export type ServerKind = keyof typeof KINDS;

/** The ports on 127.0.0.1 of what was started. */
export interface Ports {
  readonly grpc?: number;
  readonly json?: number;
}

const PATH = "/keypears.v1.KeySetService/GetKeySet";
const KINDS = {
  "connect-node": startConnectNode,
  "grpc-js": startGrpcJs,
  bare: startBare,
} as const;

const [, , folder = "", kind = ""] = process.argv;
const bytes = (name: string) => readBytes(folder, name);
const answerTo = readAnswers(folder);

const ports: Ports = await KINDS[kind as ServerKind]();
process.stdout.write(`${JSON.stringify(ports)}\n`);
process.once("SIGTERM", () => process.exit());

async function startConnectNode(): Promise<Ports> {
  const routes = (router: ConnectRouter) => {
    router.service(KeySetService, { getKeySet: answerTo });
  };
  return {
    grpc: await listening(createHttp2Server(connectNodeAdapter({ routes }))),
    json: await listening(createHttp1Server(connectNodeAdapter({ routes }))),
  };
}

async function startGrpcJs(): Promise<Ports> {
  const server = new grpc.Server();
  const definition: grpc.ServiceDefinition = {
    getKeySet: {
      path: PATH,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (message: Buffer) => fromBinary(GetKeySetRequestSchema, message),
      requestSerialize: (message: GetKeySetRequest) => Buffer.from(toBinary(GetKeySetRequestSchema, message)),
      responseDeserialize: (message: Buffer) => fromBinary(GetKeySetResponseSchema, message),
      responseSerialize(message: GetKeySetResponse) {
        const { buffer, byteOffset, byteLength } = toBinary(GetKeySetResponseSchema, message);
        return Buffer.from(buffer, byteOffset, byteLength);
      },
    },
  };
  const getKeySet: grpc.handleUnaryCall<GetKeySetRequest, GetKeySetResponse> = (call, callback) =>
    callback(null, answerTo(call.request));
  server.addService(definition, { getKeySet });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { grpc: port };
}

/** Node's own servers: they take the request to its end, look which answer it wants, and write its bytes. */
async function startBare(): Promise<Ports> {
  const grpcAnswers = { body: grpcFrame(bytes("body.bin")), full: grpcFrame(bytes("full.bin")) };
  const jsonAnswers = { body: bytes("body.json"), full: bytes("full.json") };
  const http2 = createHttp2Server();
  http2.on("stream", (stream) => {
    let length = 0;
    let last = 0;
    stream.on("data", (chunk: Buffer) => {
      length += chunk.length;
      last = chunk[chunk.length - 1] ?? 0;
    });
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      // The view is the last field of the request.
      stream.end(length > 0 && last === KeySetView.BODY ? grpcAnswers.body : grpcAnswers.full);
    });
  });
  const http1 = createHttp1Server((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const answer = Buffer.concat(chunks).includes("VIEW_BODY") ? jsonAnswers.body : jsonAnswers.full;
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.length });
      response.end(answer);
    });
  });
  return { grpc: await listening(http2), json: await listening(http1) };
}

async function listening(server: Pick<Server, "listen" | "once" | "address">): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server as Server, "listening");
  return (server.address() as AddressInfo).port;
}
