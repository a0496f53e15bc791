// gRPC's own client for Node, which nobody here wrote, against whole running nodes: at the root of their port, in cleartext
// (h2c) and over TLS.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { DeliveryOutcome, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareBox, ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { verifyKeySet } from "../../src/protocol/key-set.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { environment, type Person, seal, signUp } from "../support/clients.ts";
import { codecOf } from "../support/grpc-client.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { decodeStatus, detailsOf } from "./rpc-status.ts";

const TIMEOUT_MS = 60_000;
const CALL_MS = 30_000;

/** A call that failed, as grpc-js tells it. */
interface Failure {
  readonly code: number;
  readonly reason: string | undefined;
  readonly field: string | undefined;
  readonly domain: string | undefined;
}

describe.each(["h2c", "TLS"])("@grpc/grpc-js, over %s", (kind) => {
  const authority = createCertificateAuthority();
  let folder: string;
  let node: TestNode;
  let client: Client;
  let alice: Person;
  let bob: Person;
  let bearer: Metadata;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-grpc-"));
    const secure = kind === "TLS";
    const { cert, key } = authority.issue({ names: ["acme.test", "localhost"] });
    const files = { "tls-cert": join(folder, "node.crt"), "tls-key": join(folder, "node.key") };
    await writeFile(files["tls-cert"], cert);
    await writeFile(files["tls-key"], key, { mode: 0o600 });
    node = await startTestNode({ domain: "acme.test", flags: secure ? files : {} });
    const { port } = node;
    // Calls of the library go by the domain's name, wherever it lies.
    const apiUrl = secure ? `https://acme.test:${port}/api` : node.apiUrl;
    const env = environment([node], secure ? { ca: authority.certificate } : {});
    const atHome = { ...env, resolveDomain: async () => ({ apiUrl }) };
    [alice, bob] = await Promise.all([signUp(atHome, "alice@acme.test"), signUp(atHome, "bob@acme.test")]);
    bearer = new Metadata();
    bearer.set("authorization", `Bearer ${bob.signedIn.credentials.sessionToken}`);
    client = new Client(
      `localhost:${port}`,
      secure ? credentials.createSsl(Buffer.from(authority.certificate)) : credentials.createInsecure(),
    );
  }, TIMEOUT_MS);

  afterAll(async () => {
    client?.close();
    await node?.remove();
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  function unary<Method extends DescMethod>(
    method: Method,
    message: MessageInitShape<Method["input"]>,
    metadata = new Metadata(),
    deadlineMs = CALL_MS,
  ): Promise<MessageShape<Method["output"]>> {
    const { path, encode, decode } = codecOf(method);
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs };
      client.makeUnaryRequest(path, encode, decode, message, metadata, options, (error, answer) =>
        error ? reject(error) : answer && resolve(answer),
      );
    });
  }

  /** What a call was refused for, from grpc-status-details-bin. */
  async function failureOf(call: Promise<unknown>): Promise<Failure> {
    const error = await call.then(
      () => {
        throw new Error("it was not refused");
      },
      (thrown: ServiceError) => thrown,
    );
    const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
    if (!(details instanceof Buffer)) throw error;
    const decoded = decodeStatus(details);
    // This client leaves reserved characters of grpc-message percent-encoded.
    expect([decoded.code, decoded.message]).toEqual([error.code, decodeURIComponent(error.details)]);
    const infos = detailsOf(decoded, ErrorInfoSchema);
    expect(infos).toHaveLength(1);
    const field = detailsOf(decoded, BadRequestSchema)[0]?.fieldViolations[0]?.field;
    return { code: error.code, reason: infos[0]?.reason, domain: infos[0]?.domain, field };
  }

  it("asks the node what it is", { timeout: TIMEOUT_MS }, async () => {
    const info = await unary(DiscoveryService.method.getServerInfo, {});

    expect(info).toMatchObject({ protocolVersions: [1], development: true });
    expect(info.limits?.maxEnvelopeBytes).toBe(256 * 1024);
  });

  it("gets a key set that verifies", { timeout: TIMEOUT_MS }, async () => {
    const { published } = await unary(KeySetService.method.getKeySet, { address: bob.address });

    if (!published?.keySet) throw new Error("there is no key set");
    expect(verifyKeySet(published.keySet)).toMatchObject({ address: bob.address, number: 1 });
  });

  it("reads the reason and the field of an error from its details", { timeout: TIMEOUT_MS }, async () => {
    const domain = "keypears.v1";
    expect(await failureOf(unary(KeySetService.method.getKeySet, { address: "no address" }))).toEqual({
      code: status.INVALID_ARGUMENT,
      reason: "ADDRESS_INVALID",
      field: "address",
      domain,
    });
    expect(await failureOf(unary(KeySetService.method.getKeySet, { address: "nobody@acme.test" }))).toEqual({
      code: status.NOT_FOUND,
      reason: "ADDRESS_UNKNOWN",
      field: undefined,
      domain,
    });
    expect(await failureOf(unary(ShareService.method.listShares, { box: ShareBox.RECEIVED }))).toMatchObject({
      code: status.UNAUTHENTICATED,
      reason: "SESSION_REQUIRED",
    });
    const unknown = { ...KeySetService.method.getKeySet, name: "GetNothing" };
    expect(await failureOf(unary(unknown, { address: "" }))).toMatchObject({
      code: status.UNIMPLEMENTED,
      reason: "METHOD_UNKNOWN",
    });
  });

  it("delivers an envelope, and once more, and a bent one", { timeout: TIMEOUT_MS }, async () => {
    const { envelope, shareId } = await seal(alice, bob, { kind: "text", text: "carried by a stranger" });
    const other = await seal(alice, bob, { kind: "text", text: "bent on the way" });
    const bent = { ...other.envelope, signature: other.envelope.signature.toReversed() };

    const first = await unary(FederationService.method.deliverShares, { envelopes: [envelope] });
    const second = await unary(FederationService.method.deliverShares, { envelopes: [envelope, bent] });

    expect(first.results).toMatchObject([{ shareId, outcome: DeliveryOutcome.ACCEPTED }]);
    expect(second.results).toMatchObject([
      { outcome: DeliveryOutcome.DUPLICATE },
      { outcome: DeliveryOutcome.REJECTED },
    ]);
    expect((await bob.account.shares.open(shareId)).content).toMatchObject({ text: "carried by a stranger" });
  });

  it("lists and watches shares with its bearer token, until it has had enough", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const page = await unary(ShareService.method.listShares, { box: ShareBox.RECEIVED }, bearer);
    expect(page.shares.length).toBeGreaterThan(0);
    const { path, encode, decode } = codecOf(ShareService.method.watchShares);
    const stream: ClientReadableStream<ReturnType<typeof decode>> = client.makeServerStreamRequest(
      path,
      encode,
      decode,
      { afterSequence: 0n },
      bearer,
    );

    const seen: Uint8Array[] = [];
    let sent: Uint8Array | undefined;
    try {
      for await (const { event } of stream as AsyncIterable<ReturnType<typeof decode>>) {
        if (event.case !== "share") continue;
        seen.push(event.value.shareId);
        if (seen.length === page.shares.length) {
          sent = (await alice.account.shares.send(bob.address, { kind: "text", text: "live" })).shareId;
        }
        if (seen.length === page.shares.length + 1) stream.cancel();
      }
    } catch (error) {
      expect((error as ServiceError).code).toBe(status.CANCELLED);
    }

    expect(seen.at(-1)).toEqual(sent);
  });

  it("is refused a stream without a session", { timeout: TIMEOUT_MS }, async () => {
    const { path, encode, decode } = codecOf(ShareService.method.watchShares);
    const stream = client.makeServerStreamRequest(path, encode, decode, {}, new Metadata());

    const failure = failureOf(
      (async () => {
        for await (const _ of stream);
      })(),
    );

    expect(await failure).toMatchObject({ code: status.UNAUTHENTICATED, reason: "SESSION_REQUIRED" });
  });

  it("ends a stream at the deadline that it sets", { timeout: TIMEOUT_MS }, async () => {
    const { path, encode, decode } = codecOf(ShareService.method.watchShares);
    const options = { deadline: Date.now() + 1_500 };
    const stream = client.makeServerStreamRequest(path, encode, decode, {}, bearer, options);

    const ended = (async () => {
      for await (const _ of stream);
    })();

    await expect(ended).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect((await unary(DiscoveryService.method.getServerInfo, {})).software).toMatch(/^keypears-node\//);
  });
});
