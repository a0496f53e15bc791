import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { loadTier, primitives, TIER_VARIABLE } from "../../src/crypto/index.ts";

const run = promisify(execFile);
const INDEX = new URL("../../src/crypto/index.ts", import.meta.url);

/** Runs code in a fresh Node, before which `prelude` may take something away, and gives what it prints as JSON. */
async function inFreshNode(
  prelude: string,
  code: string,
  environment: Record<string, string> = {},
): Promise<unknown> {
  const script = `${prelude}; const crypto = await import(${JSON.stringify(INDEX.href)}); console.log(JSON.stringify(await (async () => { ${code} })()));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout);
}

test("the native tier is chosen where it exists, and all can be loaded by name", async () => {
  expect(primitives().tier).toBe("native");
  expect((await loadTier("native"))?.tier).toBe("native");
  expect((await loadTier("wasm"))?.tier).toBe("wasm");
  expect((await loadTier("js"))?.tier).toBe("js");
});

test("without node:crypto, or with one that lacks an algorithm, keys and signatures run on the JavaScript tier", async () => {
  const code = `
    const c = crypto;
    const key = c.randomBytes(64);
    const signature = c.composite.sign(key, c.utf8("text"), "test");
    return [c.primitives().tier, await c.loadTier("native"), c.composite.verify(c.composite.publicKey(key), c.utf8("text"), signature, "test")];
  `;
  const gone = "process.getBuiltinModule = undefined";
  const withoutArgon2 =
    "const n = process.getBuiltinModule('node:crypto'); process.getBuiltinModule = () => ({ ...n, argon2: undefined })";
  const withoutRawKeys =
    "const n = process.getBuiltinModule('node:crypto'); process.getBuiltinModule = () => ({ ...n, createPrivateKey: () => { throw new TypeError('unsupported') } })";
  for (const prelude of [gone, withoutArgon2, withoutRawKeys]) {
    expect(await inFreshNode(prelude, code)).toEqual(["js", null, true]);
  }
}, 60_000);

const REPORT = "return Object.fromEntries(crypto.cryptoReport().map((row) => [row.primitive, row.tier]));";
const BLAKE3 = `
  const data = new Uint8Array(5000).fill(7);
  const c = crypto;
  const hashes = ({ blake3 }) => [blake3.hash(data), blake3.keyed(data.subarray(0, 32), data), blake3.deriveKey("test", data),
    blake3.hasher().update(data).digest()].map(c.toHex).join();
  const row = c.cryptoReport().find(({ primitive }) => primitive === "blake3");
  const nonce = await c.mineStamp(data.subarray(0, 32), 1000, { threads: 2 });
  const stream = await c.hashStream((async function* () { yield data; })(), { threads: 2 });
  return [row.considered.map(({ tier, status }) => tier + ": " + status), hashes(c.primitives()) === hashes(await c.loadTier("js")),
    c.verifyStamp(data.subarray(0, 32), nonce, 1000), c.toHex(stream) === c.toHex(c.primitives().blake3.hash(data))];
`;

test("without SIMD, BLAKE3 runs on hash-wasm and gives the same", async () => {
  expect(await inFreshNode("WebAssembly.validate = () => false", BLAKE3)).toEqual([
    ["native: absent", "wasm: chosen", "js: not needed"],
    true,
    true,
    true,
  ]);
}, 60_000);

test("without WebAssembly, BLAKE3 runs in JavaScript and gives the same", async () => {
  // A Node without a just-in-time compiler has none, and takes no TypeScript either.
  const folder = await mkdtemp(join(tmpdir(), "keypears-jitless-"));
  try {
    await build({
      entryPoints: [INDEX.pathname],
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      target: "es2024",
      outdir: folder,
      outExtension: { ".js": ".mjs" },
      logLevel: "silent",
    });
    const script = `
      const crypto = await import(${JSON.stringify(pathToFileURL(join(folder, "index.mjs")).href)});
      const result = await (async () => { ${BLAKE3} })();
      console.log(JSON.stringify([...result, await crypto.loadTier("wasm")]));`;
    const { stdout } = await run(process.execPath, ["--jitless", "--input-type=module", "--eval", script]);
    expect(JSON.parse(stdout)).toEqual([
      ["native: absent", "wasm: absent", "js: chosen"],
      true,
      true,
      true,
      null,
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);

test("a kernel that computes wrong is not used, neither for hashes nor for stamps and streams, and is reported", async () => {
  // One bit of the initialization vector, wherever the kernel is instantiated.
  const corrupted = `
    const { Instance } = WebAssembly;
    WebAssembly.Instance = class extends Instance {
      constructor(...args) { super(...args); new Uint8Array(this.exports.memory.buffer)[1024] ^= 1; }
    }`;
  expect(await inFreshNode(corrupted, BLAKE3)).toEqual([
    ["native: absent", "wasm: failed self-test", "js: chosen"],
    true,
    true,
    true,
  ]);
}, 60_000);

test("the environment puts a tier first, wherever that has the primitive", async () => {
  const hashing = { blake3: "wasm", sha256: "wasm", sha512: "wasm", hkdfSha256: "wasm", argon2id: "wasm" };
  const keyed = {
    ed25519: "native",
    x25519: "native",
    mlDsa65: "native",
    mlKem768: "native",
    aes256Gcm: "native",
  };
  const js = Object.fromEntries(Object.keys({ ...hashing, ...keyed }).map((name) => [name, "js"]));
  const report = (tier: string) => inFreshNode("", REPORT, { [TIER_VARIABLE]: tier });
  expect(await report("wasm")).toEqual({ ...hashing, ...keyed });
  expect(await report("js")).toEqual(js);
  expect(await report("native")).toEqual(await report(""));
  await expect(report("fast")).rejects.toThrow("KEYPEARS_CRYPTO_TIER must be one of native, wasm, js");
}, 60_000);

test("the native choice loads nothing of noble or hash-wasm", async () => {
  const prelude =
    "const { registerHooks } = process.getBuiltinModule('node:module'); const seen = []; registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } })";
  const urls = (await inFreshNode(prelude, "return seen;")) as string[];
  expect(urls.some((url) => url.includes("/crypto/native/"))).toBe(true);
  expect(urls.filter((url) => /@noble\/|hash-wasm|\/crypto\/js\//.test(url))).toEqual([]);
}, 60_000);

test("it bundles for a browser without a trace of Node's modules", async () => {
  const { outputFiles, warnings } = await build({
    entryPoints: [INDEX.pathname],
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "unused",
    write: false,
    logLevel: "silent",
  });
  expect(warnings).toEqual([]);
  for (const { text } of outputFiles) expect(text).not.toMatch(/(from|import\(|require\()\s*["']node:/);
}, 60_000);
