// gRPC's own client for Python, which nobody here wrote, with stubs that its own compiler makes of the contract, against whole
// running nodes: in cleartext (h2c) and over TLS. `npm run python-env` makes the Python for it.

import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GetServerInfoResponseSchema } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { Blake3ResponseSchema, Blake3StreamResponseSchema } from "../../gen/keypears/v1/hash_service_pb.ts";
import { GetKeySetResponseSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { WatchSharesResponseSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { fromBase64 } from "../../src/crypto/bytes.ts";
import { primitives } from "../../src/crypto/index.ts";
import { verifyKeySet } from "../../src/protocol/key-set.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { environment, type Person, signUp } from "../support/clients.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 120_000;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PYTHON = join(ROOT, "node_modules/.cache/python/bin/python");
const CLIENT = fileURLToPath(new URL("grpcio_client.py", import.meta.url));

/** A call, as grpcio_client.py takes it. */
interface PythonCall {
  readonly service: string;
  readonly method: string;
  readonly request: unknown;
  readonly token?: string;
  /** In seconds. */
  readonly timeout?: number;
  readonly compress?: boolean;
  readonly take?: number;
}

/** What grpcio_client.py prints. */
interface Outcome {
  readonly answers?: readonly string[];
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly reasons: readonly { readonly reason: string; readonly domain: string }[];
  };
}

const present = existsSync(PYTHON) && spawnSync(PYTHON, ["-c", "import grpc, grpc_tools"]).status === 0;
const note = present ? "" : " (skipped: no grpcio, which `npm run python-env` installs)";

describe.skipIf(!present).each(["h2c", "TLS"])(`Python's grpcio, over %s${note}`, (kind) => {
  const authority = createCertificateAuthority();
  let folder: string;
  let node: TestNode;
  let alice: Person;
  let token: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-grpcio-"));
    await compileStubs(folder);
    const secure = kind === "TLS";
    const { cert, key } = authority.issue({ names: ["acme.test", "localhost"] });
    const files = { "tls-cert": join(folder, "node.crt"), "tls-key": join(folder, "node.key") };
    await writeFile(files["tls-cert"], cert);
    await writeFile(files["tls-key"], key, { mode: 0o600 });
    node = await startTestNode({ domain: "acme.test", flags: secure ? files : {} });
    // Calls of the library go by the domain's name, wherever it lies.
    const apiUrl = secure ? `https://acme.test:${node.port}/api` : node.apiUrl;
    const env = environment([node], secure ? { ca: authority.certificate } : {});
    alice = await signUp({ ...env, resolveDomain: async () => ({ apiUrl }) }, "alice@acme.test");
    token = alice.signedIn.credentials.sessionToken;
  }, TIMEOUT_MS);

  afterAll(async () => {
    await node?.remove();
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  async function python(call: PythonCall): Promise<Outcome> {
    const running = promisify(execFile)(PYTHON, [CLIENT], {
      env: { ...process.env, PYTHONPATH: folder, NO_PROXY: "*", no_proxy: "*" },
    });
    const ca = kind === "TLS" ? { ca: authority.certificate } : {};
    running.child.stdin?.end(JSON.stringify({ port: node.port, ...ca, ...call }));
    return JSON.parse((await running).stdout) as Outcome;
  }

  async function answersTo<Desc extends DescMessage>(
    call: PythonCall,
    schema: Desc,
  ): Promise<MessageShape<Desc>[]> {
    const { answers, error } = await python(call);
    expect(error).toBeUndefined();
    return (answers ?? []).map((answer) => fromBinary(schema, fromBase64(answer)));
  }

  it("asks the node what it is", { timeout: TIMEOUT_MS }, async () => {
    const call = { service: "DiscoveryService", method: "GetServerInfo", request: {} };

    const [info] = await answersTo(call, GetServerInfoResponseSchema);

    expect(info).toMatchObject({ protocolVersions: [1], development: true });
  });

  it("gets a key set that verifies", { timeout: TIMEOUT_MS }, async () => {
    const call = { service: "KeySetService", method: "GetKeySet", request: { address: alice.address } };

    const [answer] = await answersTo(call, GetKeySetResponseSchema);

    if (!answer?.published?.keySet) throw new Error("there is no key set");
    expect(verifyKeySet(answer.published.keySet)).toMatchObject({ address: alice.address, number: 1 });
  });

  it.each([
    ["KeySetService", "GetKeySet", { address: "nobody@acme.test" }, "NOT_FOUND", "ADDRESS_UNKNOWN"],
    ["KeySetService", "GetKeySet", { address: "no address" }, "INVALID_ARGUMENT", "ADDRESS_INVALID"],
    ["ShareService", "WatchShares", {}, "UNAUTHENTICATED", "SESSION_REQUIRED"],
  ])("reads from %s.%s of %j the code %s and the reason %s", { timeout: TIMEOUT_MS }, async (...expected) => {
    const [service, method, request, code, reason] = expected;

    const { error } = await python({ service, method, request });

    expect(error).toMatchObject({ code, reasons: [{ reason, domain: "keypears.v1" }] });
    expect(error?.message).not.toBe("");
  });

  it("sends a message that it compressed", { timeout: TIMEOUT_MS }, async () => {
    const data = Buffer.alloc(100_000, "all work and no play ");
    const request = { data: data.toString("base64") };

    const [answer] = await answersTo(
      { service: "HashService", method: "Blake3", request, compress: true },
      Blake3ResponseSchema,
    );

    expect(answer?.hash).toEqual(primitives().blake3.hash(data, 32));
    expect(bytesReceived("keypears.v1.HashService/Blake3")).toBeLessThan(data.length / 10);
  });

  it("sends a stream of messages, compressed and not", { timeout: TIMEOUT_MS }, async () => {
    const pieces = Array.from({ length: 20 }, (_, i) => Buffer.alloc(10_000 * i, `piece ${i} `));
    const request = pieces.map((piece) => ({ data: piece.toString("base64") }));
    const whole = Buffer.concat(pieces);

    for (const compress of [false, true]) {
      const call = { service: "HashService", method: "Blake3Stream", request, token, compress };
      const [answer] = await answersTo(call, Blake3StreamResponseSchema);

      expect(answer?.bytesHashed).toBe(BigInt(whole.length));
      expect(answer?.hash).toEqual(primitives().blake3.hash(whole, 32));
    }
  });

  it("watches shares, and stops when it has had enough", { timeout: TIMEOUT_MS }, async () => {
    const sent: Uint8Array[] = [];
    for (const text of ["first", "second"]) {
      sent.push((await alice.account.shares.send(alice.address, { kind: "text", text })).shareId);
    }

    const events = await answersTo(
      { service: "ShareService", method: "WatchShares", request: {}, token, take: 2 },
      WatchSharesResponseSchema,
    );

    expect(events.map(({ event }) => event.case === "share" && event.value.shareId)).toEqual(sent);
  });

  it("ends a stream at its deadline, after which it is served as before", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const watch = {
      service: "ShareService",
      method: "WatchShares",
      request: { afterSequence: "1000" },
      token,
    };

    const { error } = await python({ ...watch, timeout: 2 });

    expect(error?.code).toBe("DEADLINE_EXCEEDED");
    const info = { service: "DiscoveryService", method: "GetServerInfo", request: {} };
    expect(await answersTo(info, GetServerInfoResponseSchema)).toHaveLength(1);
  });

  /** The size in which the request of the last call of a method came, as the node's log says. */
  function bytesReceived(method: string): unknown {
    const entries = node.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    return entries.findLast((entry) => entry.msg === "call" && entry.method === method)?.bytesIn;
  }
});

/** Makes Python's code of the contract. */
async function compileStubs(folder: string): Promise<void> {
  const proto = join(ROOT, "proto");
  const sources = (await readdir(join(proto, "keypears/v1"))).map((name) => join(proto, "keypears/v1", name));
  const outputs = [`--python_out=${folder}`, `--grpc_python_out=${folder}`];
  await promisify(execFile)(PYTHON, ["-m", "grpc_tools.protoc", `-I${proto}`, ...outputs, ...sources]);
}
