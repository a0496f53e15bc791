/** Clients as others write them, each against the one port. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import {
  GetKeySetRequestSchema,
  GetKeySetResponseSchema,
  KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const authority = createCertificateAuthority();
let cleartext: TestServer;
let secure: TestServer;
beforeAll(async () => {
  cleartext = await startTestServer();
  secure = await startTestServer({ certificate: authority.issue({ names: ["localhost"] }) });
});
afterAll(() => Promise.all([cleartext.stop(), secure.stop()]));

const origin = (server: TestServer) =>
  server === secure ? `https://localhost:${server.port}` : `http://localhost:${server.port}`;
const nodeOptions = { ca: authority.certificate };

describe.each(["cleartext", "TLS"] as const)("over %s", (kind) => {
  const server = () => (kind === "TLS" ? secure : cleartext);
  const base = (path: string) => ({ baseUrl: origin(server()) + path, nodeOptions });

  it.each<[string, () => Transport]>([
    ["gRPC over HTTP/2", () => createGrpcTransport({ ...base("") })],
    ["gRPC under the prefix", () => createGrpcTransport({ ...base("/api") })],
    ["gRPC-Web over HTTP/1.1", () => createGrpcWebTransport({ ...base("/api"), httpVersion: "1.1" })],
    ["gRPC-Web over HTTP/2", () => createGrpcWebTransport({ ...base("/api"), httpVersion: "2" })],
    ["Connect over HTTP/1.1", () => createConnectTransport({ ...base("/api"), httpVersion: "1.1" })],
    ["Connect over HTTP/2", () => createConnectTransport({ ...base("/api"), httpVersion: "2" })],
    [
      "Connect with JSON",
      () => createConnectTransport({ ...base("/api"), httpVersion: "1.1", useBinaryFormat: false }),
    ],
    ["Connect by GET", () => createConnectTransport({ ...base("/api"), httpVersion: "2", useHttpGet: true })],
  ])("Connect's own client speaks %s", async (_, transport) => {
    const keySets = createClient(KeySetService, transport());
    const { published } = await keySets.getKeySet({ address: "alice", number: 3 });
    expect(published!.activeNumber).toBe(3);
    await expect(keySets.getKeySet({ address: "service-error" })).rejects.toSatisfy(
      (error: { findDetails(schema: typeof ErrorInfoSchema): { reason: string }[] }) =>
        error.findDetails(ErrorInfoSchema)[0]!.reason === "ADDRESS_UNKNOWN",
    );
    const shares = createClient(ShareService, transport());
    let events = 0;
    for await (const _event of shares.watchShares({ afterSequence: 1n })) events += 1;
    expect(events).toBe(1);
  });

  it("@grpc/grpc-js gets answers, errors with their details, and size refusals", async () => {
    const channel =
      kind === "TLS"
        ? credentials.createSsl(Buffer.from(authority.certificate))
        : credentials.createInsecure();
    const client = new Client(`localhost:${server().port}`, channel);
    const getKeySet = (address: string) =>
      new Promise<number>((resolve, reject) => {
        client.makeUnaryRequest(
          "/keypears.v1.KeySetService/GetKeySet",
          (request: Uint8Array) => Buffer.from(request),
          (answer) => fromBinary(GetKeySetResponseSchema, answer),
          toBinary(GetKeySetRequestSchema, create(GetKeySetRequestSchema, { address, number: 5 })),
          new Metadata(),
          (error, answer) => (error ? reject(error) : resolve(answer!.published!.activeNumber)),
        );
      });
    try {
      expect(await getKeySet("alice")).toBe(5);
      const error = (await getKeySet("service-error").catch((e) => e)) as ServiceError;
      expect(error.code).toBe(5); // NOT_FOUND
      expect(String(error.metadata.get("grpc-status-details-bin")[0])).toContain("ADDRESS_UNKNOWN");
      const large = (await getKeySet("x".repeat(500_000)).catch((e) => e)) as ServiceError;
      expect(large.code).toBe(8); // RESOURCE_EXHAUSTED
      expect(await getKeySet("alice")).toBe(5);
    } finally {
      client.close();
    }
  });
});

it("fetch speaks JSON, and reads the refusal of an upload that is too large", async () => {
  const post = (path: string, body: string) =>
    fetch(`${cleartext.origin}/api/keypears.v1.KeySetService/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8" },
      body,
    });
  const good = await post("GetKeySet", JSON.stringify({ address: "alice", number: 2 }));
  expect((await good.json()).published.activeNumber).toBe(2);
  const large = await post("GetKeySet", JSON.stringify({ address: "x".repeat(2_000_000) }));
  expect(large.status).toBe(429);
  expect((await large.json()).code).toBe("resource_exhausted");
});
