// curl, as an operator tries a node out with: HTTP/1.1, HTTP/2 with prior knowledge, and HTTP/2 over TLS by ALPN.

import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 60_000;
const METHOD = "keypears.v1.DiscoveryService/GetServerInfo";

const version = curlVersion();
const note = version === undefined ? " (skipped: no curl on PATH)" : "";

/** Whether this curl has no such version of HTTP. */
const lacks = (http: string) => http === "2" && !/ HTTP2\b/.test(version ?? "");
const noteFor = (http: string) => (lacks(http) ? " (skipped: this curl has no HTTP/2)" : "");

describe.skipIf(version === undefined)(`curl${note}`, () => {
  const authority = createCertificateAuthority();
  let folder: string;
  let cleartext: TestNode;
  let secure: TestNode;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-curl-"));
    const { cert, key } = authority.issue({ names: ["localhost"] });
    const files = { "tls-cert": join(folder, "node.crt"), "tls-key": join(folder, "node.key") };
    await writeFile(files["tls-cert"], cert);
    await writeFile(files["tls-key"], key, { mode: 0o600 });
    await writeFile(join(folder, "ca.crt"), authority.certificate);
    [cleartext, secure] = await Promise.all([
      startTestNode({ domain: "acme.test" }),
      startTestNode({ domain: "acme.test", flags: files }),
    ]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all([cleartext?.remove(), secure?.remove()]);
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  /** Calls a node; answers with the HTTP version and status that curl saw, and the body. */
  async function curl(node: TestNode, path: string, ...args: string[]): Promise<[string, string, unknown]> {
    const origin = node.origin.replace("127.0.0.1", "localhost");
    const { stdout } = await promisify(execFile)("curl", [
      ...["--silent", "--show-error", "--max-time", "30", "--ipv4", "--noproxy", "*"],
      ...["--write-out", "\n%{http_version} %{http_code}"],
      ...args,
      `${origin}${path}`,
    ]);
    const end = stdout.lastIndexOf("\n");
    const [httpVersion = "", status = ""] = stdout.slice(end + 1).split(" ");
    return [httpVersion, status, JSON.parse(stdout.slice(0, end))];
  }

  const call = ["--header", "content-type: application/json", "--data", "{}"];

  for (const [name, flag, expected] of [
    ["HTTP/1.1", "--http1.1", "1.1"],
    ["HTTP/2 with prior knowledge", "--http2-prior-knowledge", "2"],
  ] as const) {
    it.skipIf(lacks(expected))(
      `speaks ${name} with a node in cleartext${noteFor(expected)}`,
      {
        timeout: TIMEOUT_MS,
      },
      async () => {
        const document = await curl(cleartext, "/.well-known/keypears.json", flag);
        const answer = await curl(cleartext, `/api/${METHOD}`, flag, ...call);

        expect(document).toEqual([expected, "200", { version: 1, apiUrl: cleartext.apiUrl }]);
        expect(answer).toEqual([expected, "200", expect.objectContaining({ protocolVersions: [1] })]);
      },
    );
  }

  for (const [name, flag, expected] of [
    ["HTTP/1.1", "--http1.1", "1.1"],
    ["HTTP/2", "--http2", "2"],
  ] as const) {
    it.skipIf(lacks(expected))(
      `speaks ${name} over TLS${noteFor(expected)}`,
      {
        timeout: TIMEOUT_MS,
      },
      async () => {
        const ca = ["--cacert", join(folder, "ca.crt")];

        const answer = await curl(secure, `/${METHOD}`, flag, ...ca, ...call);

        expect(answer).toEqual([expected, "200", expect.objectContaining({ development: true })]);
      },
    );
  }

  it("does not trust a certificate from nowhere", { timeout: TIMEOUT_MS }, async () => {
    await expect(curl(secure, "/healthz")).rejects.toMatchObject({ code: 60 });
  });

  it("sees health and refusals as JSON", { timeout: TIMEOUT_MS }, async () => {
    expect(await curl(cleartext, "/healthz")).toEqual(["1.1", "200", { status: "ok" }]);
    expect((await curl(cleartext, "/nothing"))[1]).toBe("404");
    const text = ["--header", "content-type: text/plain", "--data", "hello"];
    expect((await curl(cleartext, `/api/${METHOD}`, ...text))[1]).toBe("415");
  });
});

function curlVersion(): string | undefined {
  try {
    return execFileSync("curl", ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
}
