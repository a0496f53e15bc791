// RPC calls to peers over real sockets: to nodes that behave, in every protocol they may speak, and to those that do not.

import net from "node:net";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { DiscoveryService, GetServerInfoResponseSchema } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcome, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { parseResolveOption } from "../../src/federation/development-resolution.ts";
import { createPeers, type PeersOptions } from "../../src/federation/peers.ts";
import type { DomainResolver } from "../../src/federation/resolver.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startHttp, startHttp2, startHttps, startTcp, startTls } from "../support/hostile-server.ts";
import { authority, callersOf, credentials, fixedResolver, trustedCertificates } from "./callers.ts";
import { createTestNetwork, LOOPBACK, peerError } from "./network.ts";

const SHORT_MS = 300;

/** What a well-behaved node does, as far as these tests ask. */
function routes(router: ConnectRouter): void {
  router.service(DiscoveryService, { getServerInfo: () => ({ software: "test-node/1" }) });
  router.service(KeySetService, {
    getKeySet: ({ address, number }) => {
      if (address === "gone@acme.test") throw reasoned("ADDRESS_UNKNOWN", Code.NotFound);
      return { published: { keySet: { body: Buffer.from(address) }, activeNumber: number } };
    },
  });
  router.service(FederationService, {
    deliverShares: ({ envelopes }) => ({
      results: envelopes.map(() => ({ outcome: DeliveryOutcome.ACCEPTED })),
    }),
  });
}

const node = connectNodeAdapter({ routes, requestPathPrefix: "/api" });

function reasoned(reason: string, code: Code, retrySeconds?: number, domain = "keypears.v1"): ConnectError {
  const error = new ConnectError("secret-of-the-peer", code);
  error.details.push({ desc: ErrorInfoSchema, value: { reason, domain } });
  if (retrySeconds !== undefined) {
    error.details.push({
      desc: RetryInfoSchema,
      value: { retryDelay: { seconds: BigInt(retrySeconds), nanos: 5e8 } },
    });
  }
  return error;
}

/** A node whose every GetServerInfo fails so. */
function failingNode(error: () => unknown) {
  return connectNodeAdapter({
    requestPathPrefix: "/api",
    routes: (router) => {
      router.service(DiscoveryService, {
        getServerInfo: () => {
          throw error();
        },
      });
    },
  });
}

describe("a peer", () => {
  it("is called below its apiUrl, over one warm HTTP/2 connection for all domains that it hosts", async () => {
    const paths = new Set<string>();
    const server = await startHttp2(credentials, (request, response) => {
      paths.add(request.url);
      node(request, response);
    });
    const { peers, lookups, sources, dialer } = callersOf(server);
    const keySets = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        peers.getKeySet(
          `d${index}.test`,
          { address: `a@d${index}.test`, number: 3, view: KeySetView.BODY },
          { source: "connection 7" },
        ),
      ),
    );
    expect(Buffer.from(keySets[4]?.keySet?.body ?? []).toString()).toBe("a@d4.test");
    expect(keySets[4]?.activeNumber).toBe(3);
    const results = await peers.deliverShares("acme.test", [create(EnvelopeSchema), create(EnvelopeSchema)]);
    expect(results.map(({ outcome }) => outcome)).toEqual(Array(2).fill(DeliveryOutcome.ACCEPTED));
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");

    expect([...paths].sort()).toEqual([
      "/api/keypears.v1.DiscoveryService/GetServerInfo",
      "/api/keypears.v1.FederationService/DeliverShares",
      "/api/keypears.v1.KeySetService/GetKeySet",
    ]);
    expect(server.connections()).toBe(1);
    expect(lookups).toEqual(["host.test"]);
    expect(sources.slice(0, 20)).toEqual(Array(20).fill("connection 7"));
    expect(dialer.groupCounts()).toEqual(new Map([["X25519MLKEM768", 1]]));
  });

  it.each([
    ["agrees on HTTP/1.1", { ALPNProtocols: ["http/1.1"] }],
    ["knows no ALPN", { ALPNProtocols: [] }],
  ])("that %s is called over HTTP/1.1, on a connection that is kept", async (_what, options) => {
    const versions = new Set<string>();
    const server = await startHttps(
      credentials,
      (request, response) => {
        versions.add(request.httpVersion);
        node(request, response);
      },
      options,
    );
    const { peers } = callersOf(server);
    for (let index = 0; index < 5; index++) {
      expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
    }
    expect([...versions]).toEqual(["1.1"]);
    // One to agree on a protocol, one for the calls.
    expect(server.connections()).toBe(2);
  });

  it("in development is called in cleartext at the address that its name is mapped to", async () => {
    const server = await startHttp(node);
    const development = new Map([parseResolveOption(`acme.test=http://127.0.0.1:${server.port}`)]);
    const { dialer } = createTestNetwork({ ports: {}, policy: { allowedNetworks: [], development } });
    const { resolver } = fixedResolver(`http://acme.test:${server.port}/api`, true);
    const peers = createPeers({ resolver, dialer });
    onTestFinished(() => peers.close());
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
  });

  it("that comes back with another protocol is reached again", async () => {
    const first = await startHttp2(credentials, node);
    const { peers } = callersOf(first);
    await peers.getServerInfo("acme.test");
    await first.stop();
    expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({ reason: "PEER_UNREACHABLE" });
    const second = await startHttp2(
      credentials,
      node,
      { allowHTTP1: true, ALPNProtocols: ["http/1.1"] },
      first.port,
    );
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
    await second.stop();
    expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({ reason: "PEER_UNREACHABLE" });
    await startHttp2(credentials, node, {}, first.port);
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
  });

  it("whose name has come to lead elsewhere is not reconnected to", async () => {
    const first = await startHttp2(credentials, node);
    const answers = [LOOPBACK, { address: "192.168.0.1", family: 4 }];
    const { peers, lookups } = callersOf(first, { resolve: () => answers.splice(0, 1) });
    await peers.getServerInfo("acme.test");
    await first.stop();
    const second = await startHttp2(credentials, node, {}, first.port);
    // The first call may still go out on the old connection as it breaks.
    await expect
      .poll(async () => (await peerError(peers.getServerInfo("acme.test"))).reason, { timeout: 5_000 })
      .toBe("PEER_ADDRESS_FORBIDDEN");
    expect(lookups).toEqual(["host.test", "host.test"]);
    expect(second.connections()).toBe(0);
  });

  it("loses its connection once it has been idle", async () => {
    const server = await startHttp2(credentials, node);
    const { peers } = callersOf(server, { limits: { idleMs: 50 } });
    await peers.getServerInfo("acme.test");
    await expect.poll(() => server.open().length, { timeout: 5_000 }).toBe(0);
    await peers.getServerInfo("acme.test");
    expect(server.connections()).toBe(2);
  });
});

describe("the number of connections", () => {
  it("is bounded by ending those that were used least recently", async () => {
    const server = await startHttp2(authority.issue({ names: ["a.test", "b.test"] }), node);
    const { dialer } = createTestNetwork({
      trustedCertificates,
      ports: { "a.test": server.port, "b.test": server.port },
    });
    const resolver: DomainResolver = {
      ...fixedResolver("https://a.test").resolver,
      resolve: (domain) => fixedResolver(`https://${domain}/api`).resolver.resolve(domain),
    };
    const peers = createPeers({ resolver, dialer, limits: { maxOrigins: 1 } });
    onTestFinished(() => peers.close());
    for (const domain of ["a.test", "b.test", "a.test"]) await peers.getServerInfo(domain);
    expect(server.connections()).toBe(3);
    await expect.poll(() => server.open().length, { timeout: 5_000 }).toBe(1);
  });
});

describe("an error that a peer answers with", () => {
  it("is handed on by its reason, and not by its words", async () => {
    const server = await startHttp2(credentials, node);
    const { peers } = callersOf(server);
    const request = { address: "gone@acme.test", number: 0, view: KeySetView.FULL };
    const error = await peerError(peers.getKeySet("acme.test", request));
    expect(error).toMatchObject({
      reason: "PEER_REFUSED",
      domain: "acme.test",
      peerReason: "ADDRESS_UNKNOWN",
      retryable: false,
      retryAfterMs: undefined,
    });
    expect(error.message).not.toContain("secret-of-the-peer");
  });

  it.each([
    ["RATE_LIMITED", Code.ResourceExhausted, 2, 2_500],
    ["SHUTTING_DOWN", Code.Unavailable, undefined, undefined],
    ["INTERNAL", Code.Internal, 1_000_000, 3_600_000],
    ["DATABASE_UNAVAILABLE", Code.Unavailable, -5, 0],
  ])(
    "as %s may pass, after the time it gives, within an hour",
    async (peerReason, code, seconds, retryAfterMs) => {
      const server = await startHttp2(
        credentials,
        failingNode(() => reasoned(peerReason, code, seconds)),
      );
      const { peers, invalidated } = callersOf(server);
      expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({
        reason: "PEER_REFUSED",
        peerReason,
        retryable: true,
        retryAfterMs,
      });
      expect(invalidated).toEqual([]);
    },
  );

  it.each(["DOMAIN_MOVED", "DOMAIN_NOT_HOSTED"])(
    "as %s makes the domain be looked up anew",
    async (reason) => {
      const server = await startHttp2(
        credentials,
        failingNode(() => reasoned(reason, Code.FailedPrecondition)),
      );
      const { peers, invalidated } = callersOf(server);
      expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({
        reason: "PEER_REFUSED",
        peerReason: reason,
        retryable: true,
      });
      expect(invalidated).toEqual(["acme.test"]);
    },
  );

  it.each([
    ["of another domain", () => reasoned("DOMAIN_MOVED", Code.FailedPrecondition, undefined, "evil.test")],
    ["with a reason that is none", () => reasoned("<script>", Code.FailedPrecondition)],
    ["with an endless reason", () => reasoned("A".repeat(1_000), Code.FailedPrecondition)],
    ["without a reason", () => new ConnectError("secret-of-the-peer", Code.FailedPrecondition)],
    ["that is a crash", () => new Error("secret-of-the-peer")],
  ])("%s is an invalid answer", async (_what, make) => {
    const server = await startHttp2(credentials, failingNode(make));
    const { peers, invalidated } = callersOf(server);
    const error = await peerError(peers.getServerInfo("acme.test"));
    expect(error).toMatchObject({ reason: "PEER_RESPONSE_INVALID", retryable: true, peerReason: undefined });
    expect(error.message).toBe("acme.test gave an answer that is none of this protocol");
    expect(invalidated).toEqual([]);
  });
});

describe.each([
  ["HTTP/2", startHttp2],
  ["HTTP/1.1", startHttps],
] as const)("a hostile peer over %s", (_protocol, startServer) => {
  type Answer = {
    setHeader(name: string, value: string): unknown;
    statusCode: number;
    write(chunk: Uint8Array): boolean;
    end(chunk?: Uint8Array): unknown;
  };
  /** Starts a peer that answers every call so, and calls it. */
  async function call(answer: (response: Answer) => void, limits: PeersOptions["limits"] = {}) {
    const server = await (startServer as typeof startHttps)(credentials, (request, response) => {
      request.resume();
      answer(response);
    });
    return peerError(callersOf(server, { limits }).peers.getServerInfo("acme.test"));
  }
  const message = toBinary(
    GetServerInfoResponseSchema,
    create(GetServerInfoResponseSchema, { software: "x" }),
  );

  it("that redirects a call is not followed", async () => {
    const other = await startHttps(credentials, () => {});
    for (const status of [301, 302, 303, 307, 308]) {
      const error = await call((response) => {
        response.statusCode = status;
        response.setHeader("location", `https://127.0.0.1:${other.port}/`);
        response.end();
      });
      expect(error).toMatchObject({ reason: "PEER_REDIRECT_REFUSED", retryable: false });
    }
    expect(other.connections()).toBe(0);
  });

  it.each<[string, string, Uint8Array]>([
    ["HTML", "text/html", Buffer.from("<h1>secret-of-the-peer</h1>")],
    ["bytes that are no message", "application/proto", Buffer.from([0x0a, 0xff, 0xff, 0xff])],
    ["JSON where binary was asked for", "application/json", Buffer.from('{"software":"x"}')],
  ])("that answers with %s gives an invalid answer", async (_what, contentType, body) => {
    const error = await call((response) => {
      response.setHeader("content-type", contentType);
      response.end(body);
    });
    expect(error).toMatchObject({ reason: "PEER_RESPONSE_INVALID", retryable: true });
    expect(error.message).not.toContain("secret-of-the-peer");
  });

  it.each([400, 401, 403, 404, 500])("that answers with HTTP %i and no word is no node", async (status) => {
    const error = await call((response) => {
      response.statusCode = status;
      response.end();
    });
    expect(error).toMatchObject({ reason: "PEER_RESPONSE_INVALID", retryable: true });
  });

  it.each([429, 502, 503, 504])(
    "behind a proxy that answers with HTTP %i is not available",
    async (status) => {
      const error = await call((response) => {
        response.statusCode = status;
        response.end();
      });
      expect(error).toMatchObject({ reason: "PEER_UNREACHABLE", retryable: true });
    },
  );

  it("that answers with more than 4 MiB is cut off", async () => {
    const error = await call((response) => {
      response.setHeader("content-type", "application/proto");
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        while (response.write(chunk));
      };
      (response as unknown as NodeJS.EventEmitter).on("drain", more);
      more();
    });
    expect(error).toMatchObject({ reason: "PEER_RESPONSE_TOO_LARGE", retryable: true });
  });

  it("that answers with a compression bomb does not get it inflated", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    for (const encoding of ["gzip", "br", "deflate"]) {
      const error = await call((response) => {
        response.setHeader("content-type", "application/proto");
        response.setHeader("content-encoding", encoding);
        response.end(bomb);
      });
      expect(error).toMatchObject({ reason: "PEER_RESPONSE_INVALID", retryable: true });
    }
  });

  it.each<[string, (response: Answer) => void]>([
    ["never answers", () => {}],
    [
      "stops in the middle of its answer",
      (response) => {
        response.setHeader("content-type", "application/proto");
        response.write(message.subarray(0, 2));
      },
    ],
  ])("that %s is given up on", async (_what, answer) => {
    const error = await call(answer, { callTimeoutMs: SHORT_MS });
    expect(error).toMatchObject({ reason: "PEER_TIMEOUT", retryable: true });
  });

  it("that sends headers without end is cut off", async () => {
    const error = await call((response) => {
      response.setHeader("content-type", "application/proto");
      for (let index = 0; index < 100; index++) response.setHeader(`x-${index}`, "x".repeat(8_000));
      response.end(message);
    });
    expect(["PEER_RESPONSE_INVALID", "PEER_UNREACHABLE"]).toContain(error.reason);
    expect(error.retryable).toBe(true);
  });

  it("that gives another number of results than envelopes is not believed", async () => {
    const server = await (startServer as typeof startHttps)(
      credentials,
      connectNodeAdapter({
        requestPathPrefix: "/api",
        routes: (router) => {
          router.service(FederationService, { deliverShares: () => ({ results: [{}, {}] }) });
        },
      }) as never,
    );
    const { peers } = callersOf(server);
    expect(await peerError(peers.deliverShares("acme.test", [create(EnvelopeSchema)]))).toMatchObject({
      reason: "PEER_RESPONSE_INVALID",
      retryable: true,
    });
  });

  it("that answers without a key set is not believed", async () => {
    const server = await (startServer as typeof startHttps)(
      credentials,
      connectNodeAdapter({
        requestPathPrefix: "/api",
        routes: (router) => {
          router.service(KeySetService, { getKeySet: () => ({ published: { activeNumber: 1 } }) });
        },
      }) as never,
    );
    const { peers } = callersOf(server);
    const request = { address: "a@acme.test", number: 0, view: KeySetView.FULL };
    expect(await peerError(peers.getKeySet("acme.test", request))).toMatchObject({
      reason: "PEER_RESPONSE_INVALID",
    });
  });
});

describe("a peer's connection", () => {
  it("with a certificate for another name, of an unknown authority, or below TLS 1.3 is refused", async () => {
    const servers = [
      await startHttp2(authority.issue({ names: ["evil.test"] }), node),
      await startHttp2(createCertificateAuthority().issue({ names: ["host.test"] }), node),
      await startHttp2(credentials, node, { maxVersion: "TLSv1.2" }),
    ];
    for (const server of servers) {
      expect(await peerError(callersOf(server).peers.getServerInfo("acme.test"))).toMatchObject({
        reason: "PEER_TLS_FAILED",
        retryable: false,
      });
    }
  });

  it("to a name that leads to a private address, or nowhere, is not made", async () => {
    const server = await startHttp2(credentials, node);
    const inside = callersOf(server, { resolve: () => [{ address: "10.0.0.1", family: 4 }] });
    expect(await peerError(inside.peers.getServerInfo("acme.test"))).toMatchObject({
      reason: "PEER_ADDRESS_FORBIDDEN",
      retryable: false,
    });
    const nowhere = callersOf(server, { ports: {} });
    expect(await peerError(nowhere.peers.getServerInfo("acme.test"))).toMatchObject({
      reason: "PEER_UNREACHABLE",
      retryable: true,
    });
    expect(server.connections()).toBe(0);
  });

  it("that is accepted and then silent is given up on, and does not hold up later calls", async () => {
    let silent = true;
    const server = await startHttp2(credentials, node);
    const gate = await startTcp((socket) => {
      if (silent) return;
      socket.destroy();
    });
    const ports = { "host.test": gate.port };
    const { peers } = callersOf(server, { ports, connectTimeoutMs: SHORT_MS });
    expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({
      reason: "PEER_TIMEOUT",
      retryable: true,
    });
    silent = false;
    expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({ reason: "PEER_UNREACHABLE" });
    ports["host.test"] = server.port;
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
  });

  it("that turns to garbage between two calls breaks nothing but itself", async () => {
    for (const start of [startHttp2, startHttps] as const) {
      const server = await (start as typeof startHttps)(credentials, node as never);
      const { peers } = callersOf(server);
      await peers.getServerInfo("acme.test");
      for (const socket of server.open()) socket.write("\0garbage\0".repeat(1_000));
      await expect
        .poll(() => peers.getServerInfo("acme.test").then(({ software }) => software, String), {
          timeout: 5_000,
        })
        .toBe("test-node/1");
    }
  });

  it("over which nothing was heard for long has to answer before it is used again", async () => {
    const server = await startHttp2(credentials, node);
    const cables: net.Socket[] = [];
    const gate = await startTcp((near) => {
      const far = net.connect(server.port, "127.0.0.1");
      far.on("error", () => {});
      near.pipe(far).pipe(near);
      cables.push(near);
    });
    const { peers } = callersOf(gate, { limits: { pingIntervalMs: 0, pingTimeoutMs: SHORT_MS } });
    await peers.getServerInfo("acme.test");
    await peers.getServerInfo("acme.test");
    expect(gate.connections()).toBe(1);
    // As a peer that has lost its power: nothing comes back, not even that the connection is gone.
    for (const cable of cables) cable.unpipe().pause();
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
    expect(gate.connections()).toBe(2);
  });

  it("that agrees on HTTP/2 and speaks something else is given up on", async () => {
    const server = await startTls(credentials, (socket) => socket.end("220 mail.host.test ESMTP\r\n"), {
      ALPNProtocols: ["h2"],
    });
    const { peers } = callersOf(server, { limits: { callTimeoutMs: 2_000 } });
    const error = await peerError(peers.getServerInfo("acme.test"));
    expect(["PEER_RESPONSE_INVALID", "PEER_UNREACHABLE"]).toContain(error.reason);
    expect(error.retryable).toBe(true);
  });
});

describe("a call", () => {
  it("that is cancelled ends at once, and the connection serves others", async () => {
    const arrived = Promise.withResolvers<void>();
    const server = await startHttp2(credentials, (request, response) => {
      if (!request.url.endsWith("/GetKeySet")) node(request, response);
      else arrived.resolve();
    });
    const { peers } = callersOf(server);
    const caller = new AbortController();
    const request = { address: "a@acme.test", number: 0, view: KeySetView.FULL };
    const cancelled = peerError(peers.getKeySet("acme.test", request, { signal: caller.signal }));
    await arrived.promise;
    caller.abort();
    expect(await cancelled).toMatchObject({ reason: "PEER_CALL_CANCELLED", retryable: true });
    expect((await peers.getServerInfo("acme.test")).software).toBe("test-node/1");
    expect(server.connections()).toBe(1);
    expect(await peerError(peers.getServerInfo("acme.test", { signal: caller.signal }))).toMatchObject({
      reason: "PEER_CALL_CANCELLED",
    });
  });

  it("that is under way when peers are closed is cancelled, and none is made afterwards", async () => {
    const arrived = Promise.withResolvers<void>();
    const server = await startHttp2(credentials, () => arrived.resolve());
    const { peers } = callersOf(server);
    const cancelled = peerError(peers.getServerInfo("acme.test"));
    await arrived.promise;
    peers.close();
    expect(await cancelled).toMatchObject({ reason: "PEER_CALL_CANCELLED" });
    expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({
      reason: "PEER_CALL_CANCELLED",
    });
    await expect.poll(() => server.open().length, { timeout: 5_000 }).toBe(0);
  });
});
