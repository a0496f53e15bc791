// grpc.health.v1 with gRPC's own client for Node, against whole running nodes.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { SERVICES } from "../../src/services/index.ts";
import { openStorage } from "../../src/storage/open.ts";
import { decodeStatus, detailsOf } from "../interop/rpc-status.ts";
import { callUnary, codecOf } from "../support/grpc-client.ts";
import { startTestNode, type TestNode, type TestNodeOptions } from "../support/nodes.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: Partial<TestNodeOptions> = {}): Promise<{ node: TestNode; client: Client }> {
  const node = await startTestNode({
    domain: "acme.test",
    ...options,
    overrides: { watchPollMs: 50, ...options.overrides },
  });
  closing.push(() => node.remove());
  const client = new Client(`127.0.0.1:${node.port}`, credentials.createInsecure());
  closing.push(() => client.close());
  return { node, client };
}

/** The statuses of a service, as they come; `ended` is what the stream ended with. */
function watch(client: Client, service: string) {
  const { path, encode, decode } = codecOf(Health.method.watch);
  const stream: ClientReadableStream<HealthCheckResponse> = client.makeServerStreamRequest(
    path,
    encode,
    decode,
    { service },
    new Metadata(),
  );
  const seen: ServingStatus[] = [];
  stream.on("data", (answer: HealthCheckResponse) => seen.push(answer.status));
  const ended = new Promise<ServiceError | undefined>((resolve) => {
    stream.on("error", resolve);
    stream.on("end", () => resolve(undefined));
  });
  return { seen, ended, cancel: () => stream.cancel() };
}

function reasonsOf(error: ServiceError | undefined): string[] {
  const [details] = error?.metadata?.get("grpc-status-details-bin") ?? [];
  if (!(details instanceof Buffer)) throw new Error("the call has no details of an error");
  return detailsOf(decodeStatus(details), ErrorInfoSchema).map(({ reason }) => reason);
}

describe("the health service", () => {
  it("knows no service that the node does not have", async () => {
    const { client } = await start();
    for (const service of ["keypears.v1.NoService", "HashService", "/", "\u0000"]) {
      const refused = await callUnary(client, Health.method.check, { service }).catch((error) => error);
      expect(refused.code).toBe(status.NOT_FOUND);
      expect(reasonsOf(refused)).toEqual(["SERVICE_UNKNOWN"]);
    }
  });

  it("tells who watches an unknown service so, and keeps the stream open", async () => {
    const { node, client } = await start();
    const watching = watch(client, "keypears.v1.NoService");
    await vi.waitFor(() => expect(watching.seen).toEqual([ServingStatus.SERVICE_UNKNOWN]), 30_000);
    await node.stop();
    expect((await watching.ended)?.code).toBe(status.UNAVAILABLE);
    expect(watching.seen).toEqual([ServingStatus.SERVICE_UNKNOWN]);
  });

  it("says that the node and each of its services serve", async () => {
    const { client } = await start();
    const names = ["", ...SERVICES.map(({ typeName }) => typeName)];
    for (const service of names) {
      expect((await callUnary(client, Health.method.check, { service })).status).toBe(ServingStatus.SERVING);
    }
    const { statuses } = await callUnary(client, Health.method.list, {});
    expect(Object.keys(statuses).toSorted()).toEqual(names.toSorted());
    expect(new Set(Object.values(statuses).map((each) => each.status))).toEqual(
      new Set([ServingStatus.SERVING]),
    );
  });

  it("tells who watches when the node stops, before their streams end", async () => {
    const { node, client } = await start();
    const watching = ["", "keypears.v1.HashService"].map((service) => watch(client, service));
    for (const { seen } of watching) {
      await vi.waitFor(() => expect(seen).toEqual([ServingStatus.SERVING]), 30_000);
    }

    await node.stop();

    for (const { seen, ended } of watching) {
      const error = await ended;
      expect(seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
      expect(error?.code).toBe(status.UNAVAILABLE);
      expect(reasonsOf(error)).toEqual(["SHUTTING_DOWN"]);
    }
  });

  it("says that nothing serves once the database does not answer", async () => {
    const folder = await mkdtemp(join(tmpdir(), "keypears-health-"));
    closing.push(() => rm(folder, { recursive: true }));
    const storage = await openStorage({ url: `sqlite:${join(folder, "node.sqlite")}` });
    const { client } = await start({ overrides: { storage } });
    const watching = watch(client, "keypears.v1.ShareService");
    await vi.waitFor(() => expect(watching.seen).toEqual([ServingStatus.SERVING]), 30_000);

    await storage.close();

    await vi.waitFor(
      () => expect(watching.seen).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]),
      30_000,
    );
    for (const service of ["", "keypears.v1.ShareService"]) {
      expect((await callUnary(client, Health.method.check, { service })).status).toBe(
        ServingStatus.NOT_SERVING,
      );
    }
    watching.cancel();
    expect((await watching.ended)?.code).toBe(status.CANCELLED);
  });
});
