// gRPC's own health client for Python against whole running nodes, in cleartext (h2c) and over TLS. `npm run python-env` makes the
// Python for it.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SERVICES } from "../../src/services/index.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const PYTHON = fileURLToPath(new URL("../../node_modules/.cache/python/bin/python", import.meta.url));
const CLIENT = fileURLToPath(new URL("grpcio_health.py", import.meta.url));
const present = existsSync(PYTHON) && spawnSync(PYTHON, ["-c", "import grpc_health.v1"]).status === 0;
const note = present ? "" : " (skipped: no grpcio, which `npm run python-env` installs)";

describe.skipIf(!present).each(["h2c", "TLS"])(`Python's health client, over %s${note}`, (kind) => {
  const authority = createCertificateAuthority();
  let folder: string;
  let node: TestNode;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-health-"));
    const { cert, key } = authority.issue({ names: ["localhost"] });
    const files = { "tls-cert": join(folder, "node.crt"), "tls-key": join(folder, "node.key") };
    await writeFile(files["tls-cert"], cert);
    await writeFile(files["tls-key"], key, { mode: 0o600 });
    node = await startTestNode({ domain: "acme.test", flags: kind === "TLS" ? files : {} });
  });

  afterAll(async () => {
    await node?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** The answers, as they come; the node is stopped after the first one if that is asked for. */
  async function ask(method: string, service = "", stopAfterFirst = false): Promise<unknown[]> {
    const env = { ...process.env, NO_PROXY: "*", no_proxy: "*" };
    const running = spawn(PYTHON, [CLIENT], { env, stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(running, "exit");
    const ca = kind === "TLS" ? { ca: authority.certificate } : {};
    running.stdin.end(JSON.stringify({ port: node.port, ...ca, method, service }));
    const answers: unknown[] = [];
    for await (const line of createInterface(running.stdout)) {
      answers.push(JSON.parse(line));
      if (stopAfterFirst && answers.length === 1) await node.stop();
    }
    expect(await exited).toEqual([0, null]);
    return answers;
  }

  it("is told that a service is unknown", async () => {
    expect(await ask("Check", "no.Service")).toEqual([{ code: "NOT_FOUND" }]);
  });

  it("checks the node and a service, and lists them all", async () => {
    for (const service of ["", "keypears.v1.ShareService"]) {
      expect(await ask("Check", service)).toEqual([{ status: "SERVING" }]);
    }
    const names = ["", ...SERVICES.map(({ typeName }) => typeName)];
    expect(await ask("List")).toEqual([
      { statuses: Object.fromEntries(names.map((name) => [name, "SERVING"])) },
    ]);
  });

  it("watches a service until the node stops", async () => {
    expect(await ask("Watch", "keypears.v1.ShareService", true)).toEqual([
      { status: "SERVING" },
      { status: "NOT_SERVING" },
      { code: "UNAVAILABLE" },
    ]);
  });
});
