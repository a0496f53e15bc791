// Server reflection with gRPC's own client for Node, and the descriptors at their path, against a whole running node.

import { createFileRegistry, type DescMessage, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { SCHEMA, SERVICES } from "../../src/services/index.ts";
import { codecOf } from "../support/grpc-client.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let node: TestNode;
let client: Client;
beforeAll(async () => {
  node = await startTestNode({ domain: "acme.test" });
  client = new Client(`127.0.0.1:${node.port}`, credentials.createInsecure());
});
afterAll(async () => {
  client?.close();
  await node?.remove();
});

const NAMES = SERVICES.map(({ typeName }) => typeName).toSorted();
const VERSIONS = [
  { version: "v1", method: ServerReflection.method.serverReflectionInfo },
  { version: "v1alpha", method: ServerReflectionAlpha.method.serverReflectionInfo },
];

describe.each(VERSIONS)("server reflection $version", ({ method: described }) => {
  // Both versions have the same messages under other names.
  const method = described as typeof ServerReflection.method.serverReflectionInfo;
  type Questions = Parameters<ReturnType<typeof codecOf<typeof method>>["encode"]>[0][];

  /** The answers of one stream to questions, all asked before the first answer is there. */
  async function ask(...questions: Questions) {
    const { path, encode, decode } = codecOf(method);
    const stream = client.makeBidiStreamRequest(path, encode, decode, new Metadata());
    for (const question of questions) stream.write(question);
    stream.end();
    const answers: ReturnType<typeof decode>[] = [];
    for await (const answer of stream) answers.push(answer);
    expect(answers).toHaveLength(questions.length);
    return answers.map(({ messageResponse }) => messageResponse);
  }

  /** The files of an answer, in its order. */
  function filesOf([answer]: Awaited<ReturnType<typeof ask>>): FileDescriptorProto[] {
    if (answer?.case !== "fileDescriptorResponse") throw new Error(`no files: ${JSON.stringify(answer)}`);
    return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  }

  const byName = (value: string) => ({ messageRequest: { case: "fileByFilename" as const, value } });
  const bySymbol = (value: string) => ({ messageRequest: { case: "fileContainingSymbol" as const, value } });
  const byExtension = (containingType: string, extensionNumber: number) => ({
    messageRequest: {
      case: "fileContainingExtension" as const,
      value: { containingType, extensionNumber },
    },
  });
  const numbersOf = (value: string) => ({
    messageRequest: { case: "allExtensionNumbersOfType" as const, value },
  });

  it("answers what it cannot find with an error in the answer, and goes on", async () => {
    const list = { messageRequest: { case: "listServices" as const, value: "" } };
    const answers = await ask(
      byName("no/such.proto"),
      byName("../../../etc/passwd"),
      bySymbol("keypears.v1.NoService"),
      bySymbol(""),
      bySymbol("__proto__"),
      byExtension("keypears.v1.GetKeySetRequest", 1),
      byExtension("no.Such", 1),
      numbersOf("no.Such"),
      numbersOf("keypears.v1.KeySetService"),
      {},
      list,
    );

    const codes = answers.map((answer) =>
      answer.case === "errorResponse" ? answer.value.errorCode : "none",
    );
    expect(codes).toEqual([...Array(9).fill(status.NOT_FOUND), status.INVALID_ARGUMENT, "none"]);
  });

  it("refuses bytes that are no question", async () => {
    const { path, decode } = codecOf(method);
    const stream = client.makeBidiStreamRequest(path, (bytes: Buffer) => bytes, decode, new Metadata());
    stream.write(Buffer.from([0xff, 0xff, 0xff]));
    const failure = (async () => {
      for await (const _ of stream);
    })();
    const error = await failure.catch((thrown: ServiceError) => thrown);
    expect(error?.code).toBe(status.INVALID_ARGUMENT);
  });

  it("lists the services", async () => {
    const [answer] = await ask({ messageRequest: { case: "listServices", value: "*" } });
    expect(answer?.case === "listServicesResponse" && answer.value.service.map(({ name }) => name)).toEqual(
      NAMES,
    );
  });

  it("gives every file with all that it imports", async () => {
    for (const name of SCHEMA.files.keys()) {
      const files = filesOf(await ask(byName(name)));
      expect(files[0]?.name).toBe(name);
      const names = new Set(files.map((file) => file.name));
      for (const file of files) for (const dependency of file.dependency) expect(names).toContain(dependency);
    }
  });

  it.each([
    ["keypears.v1.KeySetService", "keypears/v1/key_set_service.proto"],
    ["keypears.v1.KeySetService.GetKeySet", "keypears/v1/key_set_service.proto"],
    ["keypears.v1.GetKeySetRequest", "keypears/v1/key_set_service.proto"],
    ["keypears.v1.GetKeySetRequest.address", "keypears/v1/key_set_service.proto"],
    ["grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"],
    ["grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"],
    ["grpc.reflection.v1.ServerReflectionRequest.message_request", "grpc/reflection/v1/reflection.proto"],
    ["google.rpc.ErrorInfo", "google/rpc/error_details.proto"],
  ])("finds %s in %s", async (symbol, file) => {
    expect(filesOf(await ask(bySymbol(symbol)))[0]?.name).toBe(file);
  });

  it("does not repeat on one stream the imports that it sent", async () => {
    const answers = await ask(bySymbol("google.rpc.ErrorInfo"), byName("google/rpc/error_details.proto"));
    expect(filesOf(answers).map(({ name }) => name)).toEqual([
      "google/rpc/error_details.proto",
      "google/protobuf/duration.proto",
    ]);
    expect(filesOf(answers.slice(1)).map(({ name }) => name)).toEqual(["google/rpc/error_details.proto"]);
  });

  it("knows the numbers of a message's extensions, of which there are none", async () => {
    const [answer] = await ask(numbersOf("keypears.v1.GetKeySetRequest"));
    expect(answer).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: "keypears.v1.GetKeySetRequest", extensionNumber: [] },
    });
  });
});

describe("the descriptors at their path", () => {
  const get = (init: RequestInit = {}) => fetch(`${node.apiUrl}/descriptors.binpb`, init);

  it("refuse what does not read", async () => {
    for (const method of ["POST", "PUT", "DELETE"]) {
      const answer = await get({ method });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    }
  });

  it("describe every service that is served, with all its messages", async () => {
    const answer = await get();
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/protobuf"]);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    const registry = createFileRegistry(
      fromBinary(FileDescriptorSetSchema, new Uint8Array(await answer.arrayBuffer())),
    );
    for (const service of SERVICES) {
      const described = registry.getService(service.typeName);
      expect(described?.methods.map(({ name }) => name)).toEqual(service.methods.map(({ name }) => name));
      for (const { input, output } of service.methods) {
        for (const message of [input, output]) expectSame(registry, message);
      }
    }
  });

  it("are not sent again to those who have them", async () => {
    const first = await get();
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(first.headers.get("cache-control")).toBe("public, max-age=300");
    const again = await get({ headers: { "if-none-match": etag } });
    expect([again.status, (await again.arrayBuffer()).byteLength]).toEqual([304, 0]);
    const head = await get({ method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([
      200,
      String((await first.arrayBuffer()).byteLength),
    ]);
  });
});

/** Fields, with their numbers, types and names in JSON. */
function expectSame(registry: FileRegistry, message: DescMessage): void {
  const described = registry.getMessage(message.typeName);
  expect(described?.fields.map((field) => [field.name, field.number, field.jsonName, String(field)])).toEqual(
    message.fields.map((field) => [field.name, field.number, field.jsonName, String(field)]),
  );
}
