import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createCertificateAuthority } from "../support/certificates.ts";
import { makeTool, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let tool: Tool;
let stop: () => Promise<void>;
let env: Record<string, string>;

beforeAll(async () => {
  tool = makeTool();
  const authority = createCertificateAuthority();
  const { cert, key } = authority.issue({ names: ["acme.test"] });
  const files = { ca: authority.certificate, cert, key };
  const path = (name: keyof typeof files) => join(tool.home, `${name}.pem`);
  for (const [name, text] of Object.entries(files))
    writeFileSync(path(name as keyof typeof files), text, { mode: 0o600 });

  const port = await freePort();
  const child = tool.start([
    ...["serve", "--json", "--dev", "--domain", "acme.test", "--listen", `127.0.0.1:${port}`],
    ...["--tls-cert", path("cert"), "--tls-key", path("key"), "--api-url", `https://acme.test:${port}/api`],
    ...["--creation-difficulty", "100", "--first-contact-difficulty", "100"],
  ]);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  stop = async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  env = {
    NODE_EXTRA_CA_CERTS: path("ca"),
    KEYPEARS_RESOLVE: `acme.test=https://127.0.0.1:${port}`,
    KEYPEARS_PASSWORD: "password",
  };
});
afterAll(async () => {
  await tool.run(["lock"]);
  await stop();
  tool.remove();
});

describe("over TLS", () => {
  it("the tool refuses a node whose authority it does not know", async () => {
    const { NODE_EXTRA_CA_CERTS: _, ...untrusting } = env;
    const { code, stderr } = await tool.run(["account", "create", "alice@acme.test", "--json"], {
      env: untrusting,
    });
    expect(code).toBe(6);
    expect(JSON.parse(stderr).error.reason).toBe("PEER_TLS_FAILED");
  });

  it("an account is made, used and watched where NODE_EXTRA_CA_CERTS names the authority", async () => {
    await tool.json(["account", "create", "alice@acme.test"], { env });
    await tool.json(["unlock"], { env });
    const sent = await tool.json<{ id: string }>(["share", "send", "alice@acme.test", "A=1"], { env });
    const { shares } = await tool.json<{ shares: { id: string }[] }>(["share", "list"], { env });
    expect(shares.map(({ id }) => id)).toEqual([sent.id]);
    expect((await tool.run(["share", "open", sent.id], { env })).stdout).toBe("A=1\n");

    const watch = tool.start(["share", "watch", "--all", "--json"], { env });
    const [line] = await once(watch.stdout as NodeJS.ReadableStream, "data");
    expect(JSON.parse(String(line))).toMatchObject({ event: "share", id: sent.id });
    watch.kill("SIGINT");
    expect((await once(watch, "exit"))[0]).toBe(0);
  });

  it("discover names the post-quantum group", async () => {
    const found = await tool.json(["discover", "acme.test"], { env });
    expect(found).toMatchObject({ tlsGroup: "X25519MLKEM768", ok: true });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
