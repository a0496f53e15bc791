import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { silentLogger } from "../../src/logger.ts";
import { createNodeHealth, MAX_HEALTH_WATCHES_PER_SOURCE } from "../../src/services/health.ts";
import { startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

vi.setConfig({ testTimeout: 60_000 });

describe("the health of a node", () => {
  it("does not wait for a database that hangs, nor asks it again meanwhile", async () => {
    let asked = 0;
    const hung = Promise.withResolvers<void>();
    const checkDatabase = () => {
      asked += 1;
      return hung.promise;
    };
    const health = createNodeHealth({ checkDatabase, pollMs: 0, answerMs: 5, log: silentLogger });
    for (let i = 0; i < 5; i++) expect(await health.isServing()).toBe(false);
    expect(asked).toBe(1);
    hung.resolve();
    await vi.waitFor(async () => expect(await health.isServing()).toBe(true), 30_000);
  });

  it("asks the database once, however many want to know", async () => {
    let asked = 0;
    const checkDatabase = async () => {
      asked += 1;
    };
    const health = createNodeHealth({ checkDatabase, pollMs: 3_600_000, log: silentLogger });
    const answers = await Promise.all(Array.from({ length: 100 }, () => health.isServing()));
    expect(answers.every(Boolean)).toBe(true);
    expect(asked).toBe(1);
  });

  it("comes back when the database does, and says in the log that it was gone once", async () => {
    let fails = true;
    const warnings: string[] = [];
    const checkDatabase = async () => {
      if (fails) throw new Error("gone");
    };
    const log = { ...silentLogger, warn: (_fields: object, message: string) => void warnings.push(message) };
    const health = createNodeHealth({ checkDatabase, pollMs: 0, log });
    for (let i = 0; i < 3; i++) expect(await health.isServing()).toBe(false);
    expect(warnings).toHaveLength(1);
    fails = false;
    expect(await health.isServing()).toBe(true);
  });

  it("is over when the node stops, though somebody who watches does not take the news", async () => {
    const health = createNodeHealth({ checkDatabase: async () => {}, pollMs: 1, log: silentLogger });
    health.enter();
    await health.stop();
    expect(await health.isServing()).toBe(false);
  });
});

describe("Watch", () => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  it("is limited for one source, whose places come back", async () => {
    const health = createClient(Health, node.transport());
    const ends: AbortController[] = [];
    const open = async () => {
      const end = new AbortController();
      const answers = health.watch({}, { signal: end.signal })[Symbol.asyncIterator]();
      const { value } = await answers.next();
      ends.push(end);
      return value?.status;
    };
    for (let i = 0; i < MAX_HEALTH_WATCHES_PER_SOURCE; i++) expect(await open()).toBe(ServingStatus.SERVING);
    expect(await refusal(open())).toMatchObject({ code: "ResourceExhausted", reason: "STREAM_LIMIT" });
    const elsewhere = createClient(Health, node.transport({ sourcePrefix: "198.51.100.0/24" }));
    expect((await elsewhere.check({})).status).toBe(ServingStatus.SERVING);

    ends[0]?.abort();
    await vi.waitFor(async () => expect(await open()).toBe(ServingStatus.SERVING), 30_000);
    for (const end of ends) end.abort();
  });
});
