import { createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { SCHEMA } from "../../src/services/index.ts";
import { createReflection, MAX_REFLECTION_STREAMS_PER_SOURCE } from "../../src/services/reflection.ts";
import { refusal } from "./refusal.ts";

vi.setConfig({ testTimeout: 60_000 });

const LIST = { messageRequest: { case: "listServices" as const, value: "" } };

function start(idleMs?: number) {
  const stop = new AbortController();
  const reflection = createReflection({
    schema: SCHEMA,
    shutdown: stop.signal,
    ...(idleMs !== undefined && { idleMs }),
  });
  const transport = createRouterTransport((router) => {
    router.service(ServerReflection, reflection.v1);
    router.service(ServerReflectionAlpha, reflection.v1alpha);
  });
  return {
    stop,
    v1: createClient(ServerReflection, transport),
    v1alpha: createClient(ServerReflectionAlpha, transport),
  };
}

/** Asks once, and then nothing for as long as the stream lives. */
async function* askOnce() {
  yield LIST;
  await new Promise(() => {});
}

describe("a stream of questions", () => {
  it("ends well when nothing more is asked", async () => {
    const answers = start(20).v1.serverReflectionInfo(askOnce());
    const cases: unknown[] = [];
    for await (const { messageResponse } of answers) cases.push(messageResponse.case);
    expect(cases).toEqual(["listServicesResponse"]);
  });

  it("ends when the node stops", async () => {
    const { stop, v1 } = start();
    const answers = v1.serverReflectionInfo(askOnce())[Symbol.asyncIterator]();
    await answers.next();
    const end = refusal(answers.next());
    stop.abort();
    expect(await end).toMatchObject({ code: "Unavailable", reason: "SHUTTING_DOWN" });
  });

  it("has places for one source, which both versions share, and which come back", async () => {
    const { v1, v1alpha } = start();
    const ends: AbortController[] = [];
    const open = async (client: Pick<typeof v1, "serverReflectionInfo"> | typeof v1alpha) => {
      const end = new AbortController();
      const answers = client.serverReflectionInfo(askOnce(), { signal: end.signal });
      await answers[Symbol.asyncIterator]().next();
      ends.push(end);
    };
    for (let i = 0; i < MAX_REFLECTION_STREAMS_PER_SOURCE; i++) await open(i % 2 === 0 ? v1 : v1alpha);
    for (const client of [v1, v1alpha]) {
      expect(await refusal(open(client))).toMatchObject({
        code: "ResourceExhausted",
        reason: "STREAM_LIMIT",
      });
    }

    ends[0]?.abort();
    await vi.waitFor(() => open(v1alpha), 30_000);
    for (const end of ends) end.abort();
  });
});
