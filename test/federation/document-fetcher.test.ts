// Discovery documents fetched over real sockets, mostly from servers that mean no good.

import type { RequestListener, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseResolveOption } from "../../src/federation/development-resolution.ts";
import { createDialer } from "../../src/federation/dialer.ts";
import { createDocumentFetcher } from "../../src/federation/document-fetcher.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startHttp, startHttp2, startHttps, startTcp, startTls } from "../support/hostile-server.ts";
import { createTestNetwork, LOOPBACK, peerError, type TestNetworkOptions } from "./network.ts";

const authority = createCertificateAuthority();
const credentials = authority.issue({ names: ["acme.test", "other.test", "third.test"] });
const trustedCertificates = [authority.certificate];

const DOCUMENT = '{"version":1,"apiUrl":"https://host.test/api"}';
const SHORT_MS = 300;

/** A network on which acme.test is served by `listener`. */
async function acme(
  listener: RequestListener,
  options: Partial<TestNetworkOptions> & { timeoutMs?: number } = {},
) {
  const server = await startHttps(credentials, listener);
  const network = createTestNetwork({ trustedCertificates, ports: { "acme.test": server.port }, ...options });
  const fetch = createDocumentFetcher({
    dialer: network.dialer,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  });
  return { server, network, fetch };
}

function redirect(response: ServerResponse, location: string, status = 302): void {
  response.writeHead(status, { location }).end();
}

describe("a discovery document", () => {
  it("is fetched from the well-known path over TLS 1.3 with the post-quantum group", async () => {
    const seen: unknown[] = [];
    const { fetch, network } = await acme((request, response) => {
      seen.push(request.method, request.url, request.headers);
      response.setHeader("cache-control", "public, max-age=600");
      response.end(DOCUMENT);
    });
    const fetched = await fetch("acme.test");
    expect(fetched).toEqual({
      document: { version: 1, apiUrl: expect.objectContaining({ href: "https://host.test/api" }) },
      maxAgeMs: 600_000,
      tlsGroup: "X25519MLKEM768",
      fetchedUrl: "https://acme.test/.well-known/keypears.json",
    });
    expect(seen).toEqual([
      "GET",
      "/.well-known/keypears.json",
      {
        host: "acme.test",
        accept: "application/json",
        "accept-encoding": "identity",
        "user-agent": "keypears-node",
        connection: "close",
      },
    ]);
    expect(network.dialer.groupCounts()).toEqual(new Map([["X25519MLKEM768", 1]]));
  });

  it.each([
    [undefined, undefined],
    ["max-age=60", 60_000],
    ["MAX-AGE=60", 60_000],
    ['public,max-age="60"', 60_000],
    ["max-age=100, max-age=10", 10_000],
    ["max-age=0", 0],
    ["no-store", 0],
    ["no-cache, max-age=600", 0],
    ["max-age=-5", undefined],
    ["max-age=1e9", undefined],
    ["max-age", undefined],
    ["s-maxage=600", undefined],
  ])("with Cache-Control %j has max-age %j", async (header, expected) => {
    const { fetch } = await acme((_request, response) => {
      if (header !== undefined) response.setHeader("cache-control", header);
      response.end(DOCUMENT);
    });
    expect((await fetch("acme.test")).maxAgeMs).toBe(expected);
  });

  it("is never asked for under a name that is not canonical", async () => {
    const { fetch } = await acme((_request, response) => response.end(DOCUMENT));
    for (const domain of [
      "Acme.test",
      "acme.test/..",
      "acme.test@evil.test",
      "acme.test:8443",
      "127.0.0.1",
      "",
    ]) {
      await expect(fetch(domain)).rejects.toBeInstanceOf(ProtocolError);
    }
  });

  it("of the older public shape is reported as an unsupported protocol", async () => {
    const { fetch } = await acme((_request, response) => response.end('{"apiDomain":"host.test"}'));
    expect(await peerError(fetch("acme.test"))).toMatchObject({
      reason: "PEER_PROTOCOL_UNSUPPORTED",
      domain: "acme.test",
      retryable: false,
    });
  });

  it.each([
    ["garbage", "<html>secret-of-the-peer</html>"],
    ["invalid UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ["nothing", ""],
    ["a document without apiUrl", '{"version":1}'],
    ["an apiUrl in cleartext", '{"version":1,"apiUrl":"http://host.test/api"}'],
    ["an apiUrl at an IP address", '{"version":1,"apiUrl":"https://127.0.0.1/api"}'],
    ["an apiUrl with credentials", '{"version":1,"apiUrl":"https://user:secret-of-the-peer@host.test/api"}'],
  ])("that is %s is refused, without repeating it", async (_what, body) => {
    const { fetch } = await acme((_request, response) => response.end(body));
    const error = await peerError(fetch("acme.test"));
    expect(error).toMatchObject({ reason: "DISCOVERY_DOCUMENT_INVALID", retryable: false });
    expect(error.message).not.toContain("secret-of-the-peer");
  });

  it.each([
    [404, "DOMAIN_NOT_FOUND", false],
    [410, "DOMAIN_NOT_FOUND", false],
    [403, "DISCOVERY_FAILED", false],
    [204, "DISCOVERY_FAILED", false],
    [304, "DISCOVERY_FAILED", false],
    [429, "DISCOVERY_FAILED", true],
    [500, "DISCOVERY_FAILED", true],
    [503, "DISCOVERY_FAILED", true],
  ])("answered with HTTP %i is %s", async (status, reason, retryable) => {
    const { fetch } = await acme((_request, response) => response.writeHead(status).end());
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason, retryable });
  });

  it("of a domain that is not in DNS is not found", async () => {
    const { fetch } = await acme((_request, response) => response.end(DOCUMENT));
    expect(await peerError(fetch("gone.test"))).toMatchObject({
      reason: "DOMAIN_NOT_FOUND",
      domain: "gone.test",
    });
  });
});

describe("a server that is slow", () => {
  it.each<[string, RequestListener]>([
    ["hangs before the headers", () => {}],
    ["hangs in the middle of the body", (_request, response) => void response.write(DOCUMENT.slice(0, 10))],
    [
      "drips one byte at a time",
      (_request, response) => {
        const timer = setInterval(() => response.write(" "), 20);
        response.on("close", () => clearInterval(timer));
      },
    ],
    [
      "sends informational answers for ever",
      (_request, response) => {
        const timer = setInterval(() => response.writeProcessing(), 20);
        response.on("close", () => clearInterval(timer));
      },
    ],
    [
      "redirects slowly",
      (_request, response) => {
        setTimeout(() => redirect(response, "https://acme.test/again"), SHORT_MS / 2);
      },
    ],
  ])("and %s is given up on", async (_what, listener) => {
    const { fetch } = await acme(listener, { timeoutMs: SHORT_MS });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_TIMEOUT", retryable: true });
  });

  it("and accepts connections without a TLS handshake is given up on", async () => {
    const server = await startTcp(() => {});
    const { fetch } = await acme(() => {}, { timeoutMs: SHORT_MS, ports: { "acme.test": server.port } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_TIMEOUT" });
  });

  it("whose name DNS never answers for is given up on", async () => {
    const { fetch } = await acme(() => {}, { timeoutMs: SHORT_MS, policy: { lookup: () => {} } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_TIMEOUT" });
  });

  it("loses its connection when the caller gives up", async () => {
    const caller = new AbortController();
    const closed = Promise.withResolvers<void>();
    const { fetch } = await acme((request) => {
      request.socket.on("close", () => closed.resolve());
      caller.abort();
    });
    expect(await peerError(fetch("acme.test", caller.signal))).toMatchObject({
      reason: "PEER_CALL_CANCELLED",
    });
    await closed.promise;
  });
});

describe("an answer's size", () => {
  it("is refused as soon as Content-Length goes beyond 64 KiB", async () => {
    const { fetch } = await acme((_request, response) => {
      response.writeHead(200, { "content-length": 65_537 }).write("{");
    });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_RESPONSE_TOO_LARGE" });
  });

  it("is counted where the server does not say it, and the rest is not waited for", async () => {
    const closed = Promise.withResolvers<void>();
    const { fetch } = await acme((_request, response) => {
      response.on("close", () => closed.resolve());
      const more = () => {
        while (!response.destroyed && response.write(" ".repeat(10_000)));
      };
      response.on("drain", more);
      more();
    });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_RESPONSE_TOO_LARGE" });
    await closed.promise;
  });

  it("may be exactly 64 KiB", async () => {
    const { fetch } = await acme((_request, response) => response.end(DOCUMENT.padEnd(65_536)));
    expect((await fetch("acme.test")).document.version).toBe(1);
  });

  it("that is less than Content-Length says is a broken connection", async () => {
    const server = await startTls(credentials, (socket) => {
      socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${DOCUMENT}`));
    });
    const { fetch } = await acme(() => {}, { ports: { "acme.test": server.port } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({
      reason: "PEER_UNREACHABLE",
      retryable: true,
    });
  });

  it("that is more than Content-Length says ends where it says", async () => {
    const server = await startTls(credentials, (socket) => {
      socket.once("data", () => {
        socket.end(
          `HTTP/1.1 200 OK\r\nContent-Length: ${DOCUMENT.length}\r\n\r\n${DOCUMENT}HTTP/1.1 200 OK\r\n\r\n`,
        );
      });
    });
    const { fetch } = await acme(() => {}, { ports: { "acme.test": server.port } });
    expect((await fetch("acme.test")).document.version).toBe(1);
  });

  it("cannot be hidden by compression: none was asked for, none is undone", async () => {
    const { fetch } = await acme((_request, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(" ".repeat(1_000_000)));
    });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_RESPONSE_INVALID" });
  });

  it("is bounded for headers too", async () => {
    const { fetch } = await acme((_request, response) => {
      response.writeHead(200, { "x-much": "x".repeat(20_000) }).end(DOCUMENT);
    });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_RESPONSE_INVALID" });
  });
});

describe("what is not HTTP", () => {
  it("is an invalid answer", async () => {
    const server = await startTls(credentials, (socket) => socket.end("220 mail.acme.test ESMTP\r\n"));
    const { fetch } = await acme(() => {}, { ports: { "acme.test": server.port } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_RESPONSE_INVALID" });
  });

  it("is not spoken to at all where TLS is missing", async () => {
    const heard: string[] = [];
    const server = await startHttp((request, response) => {
      heard.push(request.url ?? "");
      response.end(DOCUMENT);
    });
    const { fetch } = await acme(() => {}, { ports: { "acme.test": server.port } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_TLS_FAILED" });
    expect(heard).toEqual([]);
  });

  it("is a broken connection where nobody listens, or everything is cut", async () => {
    const server = await startTcp((socket) => socket.destroy());
    const { fetch } = await acme(() => {}, { ports: { "acme.test": server.port } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({
      reason: "PEER_UNREACHABLE",
      retryable: true,
    });
    await server.stop();
    expect(await peerError(fetch("acme.test"))).toMatchObject({
      reason: "PEER_UNREACHABLE",
      retryable: true,
    });
  });
});

describe("redirects", () => {
  it("are followed three times, each hop looked up and checked", async () => {
    const asked: string[] = [];
    const listener: RequestListener = (request, response) => {
      asked.push(`${request.headers.host}${request.url}`);
      if (request.url === "/.well-known/keypears.json") redirect(response, "/relative", 301);
      else if (request.url === "/relative") redirect(response, "https://other.test/second", 307);
      else if (request.url === "/second") redirect(response, "//third.test/last?with=query#fragment", 308);
      else response.end(DOCUMENT);
    };
    const server = await startHttps(credentials, listener);
    const ports = { "acme.test": server.port, "other.test": server.port, "third.test": server.port };
    const { fetch, network } = await acme(listener, { ports });
    const { fetchedUrl } = await fetch("acme.test");
    expect(fetchedUrl).toBe("https://third.test/last?with=query#fragment");
    expect(asked).toEqual([
      "acme.test/.well-known/keypears.json",
      "acme.test/relative",
      "other.test/second",
      "third.test/last?with=query",
    ]);
    expect(network.lookups).toEqual(["acme.test", "acme.test", "other.test", "third.test"]);
  });

  it.each<[string, string | undefined]>([
    ["in a loop", "/.well-known/keypears.json"],
    ["to cleartext", "http://acme.test/"],
    ["to a file", "file:///etc/passwd"],
    ["to a data URL", `data:application/json,${encodeURIComponent(DOCUMENT)}`],
    ["with credentials", "https://user:password@acme.test/"],
    ["to a privileged port", "https://acme.test:25/"],
    ["to no URL", "https://"],
    ["beyond 2,048 octets", `/${"x".repeat(2_048)}`],
    ["without a location", undefined],
  ])("%s are refused", async (_what, location) => {
    const { fetch, server } = await acme((_request, response) => {
      response.writeHead(302, location === undefined ? {} : { location }).end(DOCUMENT);
    });
    expect(await peerError(fetch("acme.test"))).toMatchObject({
      reason: "PEER_REDIRECT_REFUSED",
      domain: "acme.test",
      retryable: false,
    });
    expect(server.connections()).toBeLessThanOrEqual(4);
  });

  it.each([
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://10.0.0.1:8080/",
    "https://169.254.169.254/latest/meta-data",
    "https://1.1.1.1/",
  ])("to the address %s are refused without connecting", async (location) => {
    const { fetch, server } = await acme((_request, response) => redirect(response, location));
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(server.connections()).toBe(1);
  });

  it.each(["internal.test", "localhost", "localhost."])(
    "to the name %s that resolves to a private address are refused without connecting",
    async (host) => {
      const internal = await startHttps(credentials, (_request, response) => response.end(DOCUMENT));
      const resolve = (name: string) => [
        name === "acme.test" ? LOOPBACK : { address: "127.99.0.1", family: 4 },
      ];
      const server = await startHttps(credentials, (_request, response) =>
        redirect(response, `https://${host}/`),
      );
      const ports = { "acme.test": server.port, [host]: internal.port };
      const { fetch } = await acme(() => {}, {
        ports,
        resolve,
        policy: { allowedNetworks: [{ network: [127, 0, 0, 1], prefix: 32 }] },
      });
      const error = await peerError(fetch("acme.test"));
      expect(error).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN", domain: host });
      expect(error.message).not.toContain("127.99.0.1");
      expect(internal.connections()).toBe(0);
    },
  );
});

describe("TLS", () => {
  async function fetchFrom(server: { readonly port: number }, options: Partial<TestNetworkOptions> = {}) {
    const { fetch } = await acme(() => {}, { ports: { "acme.test": server.port }, ...options });
    return fetch("acme.test");
  }
  const listener: RequestListener = (_request, response) => response.end(DOCUMENT);
  const expired = { notBefore: new Date("2020-01-01"), notAfter: new Date("2021-01-01") };

  it("refuses a certificate for another name", async () => {
    const server = await startHttps(authority.issue({ names: ["evil.test"] }), listener);
    const error = await peerError(fetchFrom(server));
    expect(error).toMatchObject({ reason: "PEER_TLS_FAILED", retryable: false });
    expect(error.message).toBe("the certificate of acme.test is for another name");
  });

  it("refuses a certificate of an unknown authority", async () => {
    const unknown = createCertificateAuthority().issue({ names: ["acme.test"] });
    const error = await peerError(fetchFrom(await startHttps(unknown, listener)));
    expect(error.message).toBe("the certificate of acme.test is from an unknown authority");
    expect(error.reason).toBe("PEER_TLS_FAILED");
  });

  it("refuses a trusted authority's certificate where only Node's own authorities are trusted", async () => {
    const server = await startHttps(credentials, listener);
    const { dialer } = createTestNetwork({ ports: { "acme.test": server.port } });
    expect(await peerError(createDocumentFetcher({ dialer })("acme.test"))).toMatchObject({
      reason: "PEER_TLS_FAILED",
    });
  });

  it("refuses an expired certificate, and one that is not valid yet", async () => {
    const old = await startHttps(authority.issue({ names: ["acme.test"], ...expired }), listener);
    expect((await peerError(fetchFrom(old))).message).toBe("the certificate of acme.test has expired");
    const young = await startHttps(
      authority.issue({
        names: ["acme.test"],
        notBefore: new Date("2048-01-01"),
        notAfter: new Date("2049-01-01"),
      }),
      listener,
    );
    expect((await peerError(fetchFrom(young))).message).toBe("the certificate of acme.test is not valid yet");
  });

  it("cannot be switched off by the environment", async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      const server = await startHttps(authority.issue({ names: ["evil.test"] }), listener);
      expect((await peerError(fetchFrom(server))).reason).toBe("PEER_TLS_FAILED");
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it("below 1.3 is refused", async () => {
    const server = await startHttps(credentials, listener, { maxVersion: "TLSv1.2" });
    expect((await peerError(fetchFrom(server))).reason).toBe("PEER_TLS_FAILED");
  });

  it("without ALPN for HTTP/1.1 is refused", async () => {
    const server = await startHttp2(credentials, () => {});
    expect((await peerError(fetchFrom(server))).reason).toBe("PEER_TLS_FAILED");
  });

  it("with a classical group is used and reported, unless a post-quantum one is required", async () => {
    const server = await startHttps(credentials, listener, { ecdhCurve: "X25519" });
    expect((await fetchFrom(server)).tlsGroup).toBe("X25519");
    expect(await peerError(fetchFrom(server, { requirePostQuantum: true }))).toMatchObject({
      reason: "PEER_TLS_FAILED",
    });
    const modern = await startHttps(credentials, listener);
    expect((await fetchFrom(modern, { requirePostQuantum: true })).tlsGroup).toBe("X25519MLKEM768");
  });
});

describe("rebinding", () => {
  it("does not help: a name is looked up once per connection, and what was checked is connected to", async () => {
    const server = await startHttps(credentials, (_request, response) => response.end(DOCUMENT));
    const answers = [LOOPBACK, { address: "10.0.0.1", family: 4 }];
    const { fetch, network } = await acme(() => {}, {
      ports: { "acme.test": server.port },
      resolve: () => answers.splice(0, 1),
    });
    expect((await fetch("acme.test")).document.version).toBe(1);
    expect(network.lookups).toEqual(["acme.test"]);
    expect(server.connections()).toBe(1);
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(network.lookups).toEqual(["acme.test", "acme.test"]);
    expect(server.connections()).toBe(1);
  });

  it("does not get past the last check either, which asks the socket where it ended up", async () => {
    const heard: Uint8Array[] = [];
    const closed = Promise.withResolvers<void>();
    const server = await startTcp((socket) => {
      socket.on("data", (chunk) => heard.push(chunk));
      socket.on("close", () => closed.resolve());
    });
    const { dialer } = createTestNetwork({ ports: { "acme.test": server.port } });
    // A look-up without a check, as a bug would make it.
    const policy = { ...dialer.policy, allowsAddress: () => false };
    const lenient = createDialer({ policy });
    onTestFinished(() => lenient.close());
    const open: typeof lenient.open = (target, protocols) =>
      lenient.open({ ...target, port: server.port }, protocols);
    const fetch = createDocumentFetcher({ dialer: { ...lenient, open } });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    await closed.promise;
    expect(heard).toEqual([]);
  });
});

describe("development resolution", () => {
  it("fetches in cleartext from the origin it names, with the name in Host", async () => {
    const hosts: unknown[] = [];
    const server = await startHttp((request, response) => {
      hosts.push(request.headers.host);
      response.end(`{"version":1,"apiUrl":"http://acme.test:${server.port}/api"}`);
    });
    const development = new Map([parseResolveOption(`acme.test=http://127.0.0.1:${server.port}`)]);
    const { dialer } = createTestNetwork({ ports: {}, policy: { allowedNetworks: [], development } });
    const { document, tlsGroup } = await createDocumentFetcher({ dialer })("acme.test");
    expect(document.apiUrl.href).toBe(`http://acme.test:${server.port}/api`);
    expect(tlsGroup).toBe("");
    expect(hosts).toEqual([`acme.test:${server.port}`]);
  });

  it("does not open loopback to other names, nor the private network to redirects", async () => {
    const server = await startHttp((_request, response) => redirect(response, "http://10.0.0.1:8080/"));
    const development = new Map([parseResolveOption(`acme.test=http://127.0.0.1:${server.port}`)]);
    const { dialer } = createTestNetwork({
      ports: { "evil.test": server.port },
      policy: { allowedNetworks: [], development },
    });
    const fetch = createDocumentFetcher({ dialer });
    expect(await peerError(fetch("acme.test"))).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(await peerError(fetch("evil.test"))).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(server.connections()).toBe(1);
  });
});
