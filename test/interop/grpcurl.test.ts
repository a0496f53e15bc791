// grpcurl, which is told nothing of the contract: it asks whole running nodes for it by server reflection, in cleartext (h2c) and
// over TLS. `npm run grpcurl` builds it.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { GRPCURL } from "../../scripts/grpcurl.ts";
import { SERVICES } from "../../src/services/index.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const present = existsSync(GRPCURL);
const note = present ? "" : " (skipped: no grpcurl, which `npm run grpcurl` builds)";

describe.skipIf(!present).each(["h2c", "TLS"])(`grpcurl, over %s${note}`, (kind) => {
  let folder: string;
  let ca: string;
  let node: TestNode;
  let security: readonly string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-grpcurl-"));
    const authority = createCertificateAuthority();
    const { cert, key } = authority.issue({ names: ["acme.test", "localhost"] });
    const paths = ["node.crt", "node.key", "ca.crt"].map((name) => join(folder, name));
    const [certFile = "", keyFile = "", caFile = ""] = paths;
    await writeFile(certFile, cert);
    await writeFile(keyFile, key, { mode: 0o600 });
    ca = authority.certificate;
    await writeFile(caFile, ca);
    const flags = kind === "TLS" ? { "tls-cert": certFile, "tls-key": keyFile } : {};
    node = await startTestNode({ domain: "acme.test", flags });
    security = kind === "TLS" ? ["-cacert", caFile, "-authority", "localhost"] : ["-plaintext"];
  });

  afterAll(async () => {
    await node?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** What it prints for options and arguments, which stand before and behind the node's address. */
  async function grpcurl(options: readonly string[], ...rest: readonly string[]): Promise<string> {
    const args = [...security, "-max-time", "60", ...options, `127.0.0.1:${node.port}`, ...rest];
    const env = { ...process.env, NO_PROXY: "*", no_proxy: "*" };
    return (await promisify(execFile)(GRPCURL, args, { env })).stdout;
  }

  const failureOf = (running: Promise<string>) =>
    running.then(
      () => {
        throw new Error("it did not fail");
      },
      (error: { readonly stderr: string }) => error.stderr,
    );

  it("is told of a method that is not there", async () => {
    const failure = await failureOf(grpcurl([], "keypears.v1.DiscoveryService/GetNothing"));
    expect(failure).toContain('does not include a method named "GetNothing"');
    expect(await failureOf(grpcurl([], "describe", "keypears.v1.Nothing"))).toContain("not found");
  });

  it("shows why a call was refused, with its details", async () => {
    const request = ["-d", '{"address":"nobody@acme.test"}'];
    const failure = await failureOf(grpcurl(request, "keypears.v1.KeySetService/GetKeySet"));
    expect(failure).toContain("Code: NotFound");
    expect(failure).toContain('"reason": "ADDRESS_UNKNOWN"');
  });

  it("lists the services", async () => {
    const listed = (await grpcurl([], "list")).trim().split("\n");
    expect(listed).toEqual(SERVICES.map(({ typeName }) => typeName).toSorted());
  });

  it("lists and describes everything that each service has", async () => {
    for (const { typeName, methods } of SERVICES) {
      const listed = (await grpcurl([], "list", typeName)).trim().split("\n");
      expect(listed.toSorted()).toEqual(methods.map(({ name }) => `${typeName}.${name}`).toSorted());
      const described = await grpcurl([], "describe", typeName);
      for (const { name } of methods) expect(described).toContain(`rpc ${name} (`);
    }
    expect(await grpcurl([], "describe", "keypears.v1.GetKeySetRequest")).toContain("string address = 1");
  });

  it("calls a method", async () => {
    const info = JSON.parse(await grpcurl([], "keypears.v1.DiscoveryService/GetServerInfo"));
    expect(info).toMatchObject({
      protocolVersions: [1],
      software: expect.stringMatching(/^keypears-node\//),
    });
  });

  it("asks whether the node is well", async () => {
    const answer = JSON.parse(await grpcurl([], "grpc.health.v1.Health/Check"));
    expect(answer).toEqual({ status: "SERVING" });
  });

  it("works with the descriptors that lie at their path as well", async () => {
    const path = join(folder, "descriptors.binpb");
    const { get } = kind === "TLS" ? https : http;
    const request = get(`${node.origin}/api/descriptors.binpb`, { ca, servername: "localhost" });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await writeFile(path, await buffer(response));
    const info = JSON.parse(
      await grpcurl(
        ["-protoset", path, "-use-reflection=false"],
        "keypears.v1.DiscoveryService/GetServerInfo",
      ),
    );
    expect(info).toMatchObject({ protocolVersions: [1] });
  });
});
