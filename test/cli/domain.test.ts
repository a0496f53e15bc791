// The owner's side of a domain, without a network: the key, the consent, what to publish, changes and revocation.

import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readAuthorizationFile } from "../../src/cli/commands/domain/authorization-file.ts";
import { keyPathOf, openKeyFile, readKeyFile } from "../../src/cli/commands/domain/key-file.ts";
import { toBase64, toHex } from "../../src/crypto/index.ts";
import { parseDiscoveryDocument } from "../../src/protocol/discovery-document.ts";
import { checkDomain } from "../../src/protocol/domain-check.ts";
import { domainKeyHash, generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { makeTool, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const PASSWORD = "correct horse battery staple";
const API_URL = "https://host.example/api";
const host = generateCompositeKeyPair();
const nextHost = generateCompositeKeyPair();
const hex = toHex(host.publicKey);

let tool: Tool;
let key: string;
/** What keygen left, to begin each test with. */
let fresh: Readonly<Record<string, Buffer>>;

const run = (...args: string[]) => tool.run(["domain", ...args], { input: `${PASSWORD}\n` });
const json = <T>(...args: string[]) => tool.json<T>(["domain", ...args], { input: `${PASSWORD}\n` });
const authorize = (...args: string[]) =>
  json<{ serial: number; file: string; notAfter: string; nodeKeys: string[] }>(
    ...["authorize", "acme.example", "--password-stdin", ...args],
  );
const first = () => authorize("--api-url", `${API_URL}/`, "--node-key", hex);
const refused = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect(stdout).toBe("");
  return { code, ...JSON.parse(stderr).error } as {
    code: number;
    reason: string;
    message: string;
    next: string;
  };
};
const publication = () =>
  json<{ document: string; documentUrl: string; txtName: string; txt: string }>("document", "acme.example");

beforeAll(async () => {
  tool = makeTool();
  const made = await json<{ key: string }>("keygen", "acme.example", "--password-stdin");
  key = made.key;
  fresh = Object.fromEntries([key, `${key}.state`].map((path) => [path, readFileSync(path)]));
});
beforeEach(() => {
  for (const name of readdirSync(join(key, ".."))) rmSync(join(key, "..", name));
  for (const [path, content] of Object.entries(fresh)) writeFileSync(path, content, { mode: 0o600 });
});
afterAll(() => tool.remove());

describe("a domain key", () => {
  it("is in a file of its owner's alone, which holds no secret that is not sealed", async () => {
    expect(key).toBe(join(tool.home, "config/keypears/domains/acme.example.key"));
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const file = readKeyFile(key, "acme.example");
    const { secretKey } = await openKeyFile(file, PASSWORD);
    const text = readFileSync(key, "utf8");
    for (const secret of [secretKey, secretKey.subarray(0, 32), secretKey.subarray(32)]) {
      expect(text).not.toContain(toHex(secret));
      expect(text).not.toContain(toBase64(secret).slice(0, 20));
    }
    expect(JSON.parse(text)).toMatchObject({ domain: "acme.example", publicKeyHash: file.publicKeyHash });
  });

  it("is never replaced", async () => {
    const before = readFileSync(key);
    expect(await refused("keygen", "Acme.Example", "--password-stdin")).toMatchObject({
      code: 9,
      reason: "FILE_EXISTS",
    });
    expect(readFileSync(key)).toEqual(before);
  });

  it("is not made for a name that misleads, nor without a password", async () => {
    expect(await refused("keygen", "p\u0430ypal.example", "--password-stdin")).toMatchObject({
      code: 2,
      reason: "DOMAIN_NAME_MISLEADING",
    });
    expect(await refused("keygen", "other.example")).toMatchObject({ code: 3, reason: "PASSWORD_NEEDED" });
    expect(existsSync(keyPathOf("other.example", undefined))).toBe(false);
  });

  it("opens with its password only, and only as it was written", async () => {
    await expect(openKeyFile(readKeyFile(key, "acme.example"), "wrong")).rejects.toMatchObject({
      reason: "PASSWORD_WRONG",
    });
    const text = readFileSync(key, "utf8");
    const bent = (change: object) => {
      const path = join(tool.home, "bent.key");
      writeFileSync(path, JSON.stringify({ ...JSON.parse(text), ...change }), { mode: 0o600 });
      return readKeyFile(path, "acme.example");
    };
    for (const change of [
      { domain: "other.example" },
      { version: 2 },
      { publicKeyHash: "00".repeat(32) },
      { publicKey: toBase64(host.publicKey) },
      { rotations: ["AAAA"] },
    ]) {
      expect(() => bent(change)).toThrow(expect.objectContaining({ reason: "DOMAIN_KEY_INVALID" }));
    }
    const swapped = {
      publicKey: toBase64(host.publicKey),
      publicKeyHash: toHex(domainKeyHash(host.publicKey)),
    };
    await expect(openKeyFile(bent(swapped), PASSWORD)).rejects.toMatchObject({ reason: "PASSWORD_WRONG" });
  });
});

describe("an authorization", () => {
  it("says what it was told, and the file for the host proves it", async () => {
    const path = join(tool.home, "next.pub");
    writeFileSync(path, `${toBase64(nextHost.publicKey)}\n`);
    const said = await authorize("--api-url", API_URL, "--node-key", hex, "--node-key", path, "--days", "30");
    const { terms } = readAuthorizationFile(said.file);
    expect(terms).toMatchObject({ domain: "acme.example", apiUrl: API_URL, serial: 1 });
    expect(terms.nodePublicKeys).toEqual([host.publicKey, nextHost.publicKey]);
    expect(terms.notAfter - terms.notBefore).toBe(30 * 86_400_000);
  });

  it("has a higher serial each time, and the terms of the one before where nothing is said", async () => {
    await first();
    const second = await authorize();
    expect(second.serial).toBe(2);
    expect(readAuthorizationFile(second.file).terms).toMatchObject({ apiUrl: API_URL, serial: 2 });
    expect((await authorize("--serial", "10")).serial).toBe(10);
    expect((await authorize()).serial).toBe(11);
  });

  it("has no serial that was given out, not even when nobody knows any more which were", async () => {
    await first();
    const args = ["authorize", "acme.example", "--password-stdin", "--api-url", API_URL, "--node-key", hex];
    expect(await refused(...args, "--serial", "1")).toMatchObject({ code: 2, reason: "USAGE" });
    rmSync(`${key}.state`);
    expect((await refused(...args)).next).toContain("--serial");
    expect(await refused(...args, "--serial", "0")).toMatchObject({ code: 2 });
    expect(await authorize("--api-url", API_URL, "--node-key", hex, "--serial", "2")).toMatchObject({
      serial: 2,
    });
  });

  it.each([
    ["no host", []],
    ["no node key", ["--api-url", API_URL]],
    ["a host in cleartext", ["--api-url", "http://host.example", "--node-key", hex]],
    ["a node key that is none", ["--api-url", API_URL, "--node-key", "00ff"]],
    ["a node key twice", ["--api-url", API_URL, "--node-key", hex, "--node-key", hex]],
    ["more days than may be", ["--api-url", API_URL, "--node-key", hex, "--days", "399"]],
  ])("is not signed for %s", async (_, args) => {
    const { code } = await run("authorize", "acme.example", "--password-stdin", ...args);
    expect(code).not.toBe(0);
    expect(existsSync(`${key}.authorization.json`)).toBe(false);
  });

  it("is not signed for another host with the node keys of the one before", async () => {
    await first();
    const args = ["authorize", "acme.example", "--password-stdin", "--api-url", "https://other.example"];
    expect((await refused(...args)).message).toContain("another host has other keys");
  });

  it("is not read from a file in which anything was changed", async () => {
    const { file } = await first();
    const content = JSON.parse(readFileSync(file, "utf8"));
    const other = generateCompositeKeyPair();
    writeFileSync(file, JSON.stringify({ ...content, domainPublicKey: toBase64(other.publicKey) }));
    expect(() => readAuthorizationFile(file)).toThrow(
      expect.objectContaining({ reason: "AUTHORIZATION_FILE_INVALID" }),
    );
  });
});

describe("what the owner publishes", () => {
  it("is nothing before a host is authorized", async () => {
    expect((await refused("document", "acme.example")).message).toContain("nothing is authorized");
  });

  it("bears the host out that is authorized", async () => {
    const { file } = await first();
    const published = await publication();
    const { terms, ...consent } = readAuthorizationFile(file);
    const report = checkDomain(
      {
        domain: "acme.example",
        document: { kind: "found", document: parseDiscoveryDocument(Buffer.from(published.document)) },
        txt: { kind: "found", records: [[published.txt]] },
        shown: { kind: "consent", consent, nodePublicKey: host.publicKey },
        hostApiUrl: terms.apiUrl,
      },
      undefined,
      Date.now(),
    );
    expect(report.standing).toBe("proven");
    expect(published).toMatchObject({
      documentUrl: "https://acme.example/.well-known/keypears.json",
      txtName: "_keypears.acme.example",
    });
  });
});

describe("a new domain key", () => {
  it("is vouched for by the old one, which is kept, and signs a higher serial", async () => {
    await first();
    const old = readKeyFile(key, "acme.example");
    const said = await json<{
      serial: number;
      oldKey: string;
      domainPubKeyHash: string;
      file: string;
      txt: string;
    }>(...["rotate-key", "acme.example", "--password-stdin"]);
    expect(said.serial).toBe(2);
    const now = readKeyFile(key, "acme.example");
    expect(now.publicKeyHash).toBe(said.domainPubKeyHash);
    expect(readKeyFile(said.oldKey, "acme.example").publicKeyHash).toBe(old.publicKeyHash);
    await openKeyFile(now, PASSWORD);
    const { terms, rotations, domainPublicKey } = readAuthorizationFile(said.file);
    expect(terms).toMatchObject({ apiUrl: API_URL, serial: 2 });
    expect(domainPublicKey).toEqual(now.publicKey);
    expect(rotations?.map(({ oldPublicKey }) => oldPublicKey)).toEqual([old.publicKey]);
    expect((await publication()).txt).toContain(now.publicKeyHash);

    const again = await json<{ file: string }>("rotate-key", "acme.example", "--password-stdin");
    expect(readAuthorizationFile(again.file).rotations).toHaveLength(2);
  });

  it("is not made with a wrong password", async () => {
    await first();
    const before = readFileSync(key);
    const ended = await tool.run(["domain", "rotate-key", "acme.example", "--password-stdin"], {
      input: "wrong\n",
    });
    expect(ended).toMatchObject({ code: 4, stdout: "" });
    expect(readFileSync(key)).toEqual(before);
    expect(await authorize()).toMatchObject({ serial: 2 });
  });
});

describe("a revocation", () => {
  it("takes back everything, or what is below a serial, and never less than before", async () => {
    await first();
    await authorize();
    const below = await json("revoke", "acme.example", "--below", "2");
    expect(below).toMatchObject({ minSerial: 2, hosted: true });
    expect(JSON.parse((await publication()).document)).toMatchObject({ minSerial: 2 });
    const all = await json<{ txt: string }>("revoke", "acme.example");
    expect(all).toMatchObject({ minSerial: 3, hosted: false });
    expect(all.txt).toMatch(/; s=3$/);
    expect((await refused("revoke", "acme.example", "--below", "2")).message).toContain(
      "cannot be taken back",
    );
    expect((await refused("revoke", "acme.example", "--below", "9")).message).toContain("at most 3");
    expect(await authorize()).toMatchObject({ serial: 3 });
  });

  it("has nothing to take back before anything was authorized", async () => {
    expect((await refused("revoke", "acme.example")).message).toContain("nothing was authorized");
  });
});

describe("a file that is not in its place", () => {
  it("is told by what to do", async () => {
    expect(await refused("document", "other.example")).toMatchObject({
      code: 9,
      reason: "DOMAIN_KEY_MISSING",
    });
    const elsewhere = join(tool.home, "elsewhere.key");
    copyFileSync(key, elsewhere);
    const args = ["document", "other.example", "--key", elsewhere];
    expect((await refused(...args)).message).toContain("holds the key of acme.example");
    writeFileSync(`${key}.state`, "{}");
    expect(await refused("document", "acme.example")).toMatchObject({ reason: "DOMAIN_STATE_INVALID" });
  });
});
