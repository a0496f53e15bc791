/** Whole nodes on real sockets and databases of their own. */

import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type PeerCertificate } from "node:tls";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { silentLogger } from "../../src/logger.ts";
import { createNode, type Node } from "../../src/server/node.ts";
import { reasonOf } from "../../src/services/errors.ts";
import { createCertificateAuthority } from "../support/certificates.ts";

const nodes: Node[] = [];
const folders: string[] = [];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "keypears-node-"));
  folders.push(path);
  return path;
}

function configOf(flags: Record<string, unknown>) {
  return loadConfig({
    flags: { domain: "acme.test", listen: "127.0.0.1:0", dataDir: folder(), ...flags },
    env: {},
  });
}

async function start(flags: Record<string, unknown> = { dev: true }): Promise<Node> {
  const node = await createNode(configOf(flags), { logger: silentLogger });
  nodes.push(node);
  return node;
}

const originOf = (node: Node) => `http://127.0.0.1:${node.address.port}`;
const clientOf = (node: Node) =>
  createClient(KeySetService, createGrpcTransport({ baseUrl: originOf(node) }));

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.close()));
  for (const path of folders.splice(0)) rmSync(path, { recursive: true });
});

describe("a node", () => {
  it("says where its methods live, and they do", async () => {
    const node = await start();
    expect(node.apiUrl).toBe(`${originOf(node)}/api`);
    const document = await (await fetch(`${originOf(node)}/.well-known/keypears.json`)).json();
    expect(document).toEqual({ version: 1, apiUrl: node.apiUrl });
    const answer = await fetch(`${node.apiUrl}/keypears.v1.DiscoveryService/GetServerInfo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(await answer.json()).toMatchObject({ development: true, protocolVersions: [1] });
    const client = createClient(DiscoveryService, createGrpcTransport({ baseUrl: originOf(node) }));
    expect((await client.getServerInfo({})).software).toMatch(/^keypears-node\/\d/);
    expect((await fetch(`${originOf(node)}/healthz`)).status).toBe(200);
  });

  it("serves methods where its API URL says, when a proxy keeps the path", async () => {
    const node = await start({ apiUrl: "https://hosting.example/tenants/acme" });
    const answer = await fetch(`${originOf(node)}/tenants/acme/keypears.v1.DiscoveryService/GetServerInfo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(await answer.json()).toMatchObject({ registrationMode: "REGISTRATION_MODE_CLOSED" });
  });

  it("makes the folder of its database for its owner alone", async () => {
    const dataDir = join(folder(), "a", "b");
    await start({ dev: true, dataDir });
    expect(existsSync(join(dataDir, "node.sqlite"))).toBe(true);
    expect(statSync(dataDir).mode & 0o077).toBe(0);
    expect(statSync(join(dataDir, "node.sqlite")).mode & 0o077).toBe(0);
  });

  it("answers look-ups until their budget is spent, and then says when to come back", async () => {
    const node = await start({ dev: true, lookupsPerSecond: 1, lookupBurst: 100 });
    const client = clientOf(node);
    const reasons: (string | undefined)[] = [];
    for (let i = 0; i < 105; i++) {
      reasons.push(await refusalOf(client.getKeySet({ address: "nobody@acme.test" })));
    }
    expect(reasons.slice(0, 100)).toEqual(Array(100).fill("ADDRESS_UNKNOWN"));
    expect(reasons).toContain("RATE_LIMITED");
  });

  it("refuses a token that opens no session", async () => {
    const node = await start();
    for (const token of ["x", "A".repeat(43), "A".repeat(44)]) {
      const headers = { authorization: `Bearer ${token}` };
      const discovery = createClient(DiscoveryService, createGrpcTransport({ baseUrl: originOf(node) }));
      const reason = await refusalOf(discovery.resolveDomain({ domain: "partner.test" }, { headers }));
      expect(reason).toBe("SESSION_INVALID");
    }
  });

  it("can be closed twice, and leaves nothing open that another could not take", async () => {
    const node = await start();
    await Promise.all([node.close(), node.close()]);
    await expect(fetch(`${originOf(node)}/healthz`)).rejects.toThrow();
    const next = await start({ dev: true, listen: `127.0.0.1:${node.address.port}` });
    expect(next.address.port).toBe(node.address.port);
  });

  it("lets go of everything when its port is taken", async () => {
    const node = await start();
    const dataDir = folder();
    const listen = `127.0.0.1:${node.address.port}`;
    await expect(start({ dev: true, dataDir, listen })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await start({ dev: true, dataDir });
  });

  it("names the option when a certificate cannot be read", async () => {
    const missing = { tlsCert: "/nowhere/cert.pem", tlsKey: "/nowhere/key.pem" };
    const refusal = await createNode(configOf(missing), { logger: silentLogger }).catch(
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(ConfigError);
    expect(String(refusal)).toMatch(/--tls-cert: .*ENOENT/);
  });

  it("takes a new certificate without stopping", async () => {
    const authority = createCertificateAuthority();
    const path = folder();
    const [tlsCert, tlsKey] = [join(path, "cert.pem"), join(path, "key.pem")];
    const issue = () => {
      const { cert, key } = authority.issue({ names: ["acme.test"] });
      writeFileSync(tlsCert, cert);
      writeFileSync(tlsKey, key);
    };
    issue();
    const node = await start({ tlsCert, tlsKey });
    const shown = async (): Promise<PeerCertificate> => {
      const { port } = node.address;
      const socket = connectTls({
        host: "127.0.0.1",
        port,
        servername: "acme.test",
        ca: authority.certificate,
      });
      await once(socket, "secureConnect");
      const certificate = socket.getPeerCertificate();
      socket.destroy();
      return certificate;
    };
    const before = await shown();
    issue();
    expect((await shown()).fingerprint256).toBe(before.fingerprint256);
    await node.reloadCertificate();
    expect((await shown()).fingerprint256).not.toBe(before.fingerprint256);
  });
});

/** The reason with which a call fails; undefined if it does not. */
async function refusalOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof ConnectError) return reasonOf(error);
    throw error;
  }
}
