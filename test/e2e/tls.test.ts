// Two nodes that speak TLS themselves, with certificates from a throw-away authority: between them, and with their clients,
// over HTTP/1.1 and HTTP/2.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http2 from "node:http2";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createCertificateAuthority } from "../support/certificates.ts";
import { delivered, environment, PATIENCE, type Person, signUp } from "../support/clients.ts";
import { freePort, startTestNode, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 120_000;
const HYBRID = "X25519MLKEM768";

describe("two nodes over TLS", () => {
  const authority = createCertificateAuthority();
  const ca = authority.certificate;
  let folder: string;
  let acme: TestNode;
  let partner: TestNode;
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-tls-"));
    const ports = { "acme.test": await freePort(), "partner.test": await freePort() };
    const resolve = new Map(
      Object.entries(ports).map(([domain, port]) => [domain, `https://127.0.0.1:${port}`]),
    );
    const start = async (domain: keyof typeof ports): Promise<TestNode> => {
      const port = ports[domain];
      const { cert, key } = authority.issue({ names: [domain] });
      const files = { "tls-cert": join(folder, `${domain}.crt`), "tls-key": join(folder, `${domain}.key`) };
      await writeFile(files["tls-cert"], cert);
      await writeFile(files["tls-key"], key, { mode: 0o600 });
      const flags = { ...files, "api-url": `https://${domain}:${port}/api`, "require-post-quantum": true };
      return startTestNode({ domain, port, resolve, flags, overrides: { trustedCertificates: [ca] } });
    };
    [acme, partner] = await Promise.all([start("acme.test"), start("partner.test")]);
    const nodes = [acme, partner];
    alice = await signUp(environment(nodes, { ca, httpVersion: "1.1" }), "alice@acme.test");
    bob = await signUp(environment(nodes, { ca, httpVersion: "2" }), "bob@partner.test");
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all([acme?.remove(), partner?.remove()]);
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  it("carry a share there and back, for clients over HTTP/1.1 and HTTP/2", {
    timeout: TIMEOUT_MS,
  }, async () => {
    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const content = { kind: "text", text: `from ${from.address}` } as const;
      const { shareId } = await from.account.shares.send(to.address, content);
      await delivered(from, shareId);
      expect((await to.account.shares.open(shareId)).content).toEqual(content);
    }
  });

  it("agree on the hybrid post-quantum group, and say so", { timeout: TIMEOUT_MS }, async () => {
    const resolved = await alice.node.discovery.resolveDomain({ domain: "partner.test" });

    expect(resolved).toMatchObject({
      tlsGroup: HYBRID,
      apiUrl: `https://partner.test:${partner.port}/api`,
      documentVersion: 1,
    });
  });

  it("speak to each other over HTTP/2, by streams that end when there is nothing to send", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { shareId } = await alice.account.shares.send(bob.address, { kind: "text", text: "over h2" });
    await delivered(alice, shareId);

    const deliveries = await vi.waitFor(() => {
      const streams = partner.log
        .map((line) => JSON.parse(line) as { method?: string; http?: string })
        .filter(({ method }) => method === "keypears.v1.FederationService/DeliverShareStream");
      expect(streams.length).toBeGreaterThan(0);
      return streams;
    }, PATIENCE);
    expect(new Set(deliveries.map(({ http }) => http))).toEqual(new Set(["2.0"]));
  });

  it.each([
    ["h2", "h2"],
    ["http/1.1", "http/1.1"],
  ])("offer %s by ALPN, in TLS 1.3", { timeout: TIMEOUT_MS }, async (offered, agreed) => {
    const socket = await connect({ ALPNProtocols: [offered] });

    expect([socket.alpnProtocol, socket.getProtocol()]).toEqual([agreed, "TLSv1.3"]);
  });

  it("answer both versions of HTTP on the one port", { timeout: TIMEOUT_MS }, async () => {
    const options = { ca, servername: "acme.test", headers: { host: "acme.test" }, agent: false } as const;
    const older = await new Promise<string>((resolve, reject) => {
      https
        .get(`${acme.origin}/.well-known/keypears.json`, options, (response) => resolve(text(response)))
        .on("error", reject);
    });
    const session = http2.connect(acme.origin, { ca, servername: "acme.test" });
    onTestFinished(() => session.close());
    const stream = session.request({ ":path": "/.well-known/keypears.json", ":authority": "acme.test" });
    const newer = await text(stream);

    expect(JSON.parse(older)).toEqual({ version: 1, apiUrl: acme.apiUrl });
    expect(newer).toBe(older);
  });

  it("refuse what is no longer TLS of today", { timeout: TIMEOUT_MS }, async () => {
    await expect(connect({ maxVersion: "TLSv1.1", minVersion: "TLSv1" })).rejects.toThrow();
    await expect(fetch(acme.origin.replace("https", "http"))).rejects.toThrow();
    await connect({});
  });

  /** A TLS connection with acme.test, to look at. */
  function connect(options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        port: acme.port,
        host: "127.0.0.1",
        servername: "acme.test",
        ca,
        ...options,
      });
      onTestFinished(() => void socket.destroy());
      socket.on("error", reject);
      socket.on("secureConnect", () => resolve(socket));
    });
  }
});
