import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { loadTier, primitives } from "../../src/crypto/index.ts";

const run = promisify(execFile);
const INDEX = new URL("../../src/crypto/index.ts", import.meta.url);

/** Runs code in a fresh Node, before which `prelude` may take something away, and gives what it prints as JSON. */
async function inFreshNode(prelude: string, code: string): Promise<unknown> {
  const script = `${prelude}; const crypto = await import(${JSON.stringify(INDEX.href)}); console.log(JSON.stringify(await (async () => { ${code} })()));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script]);
  return JSON.parse(stdout);
}

test("the native tier is chosen where it exists, and all can be loaded by name", async () => {
  expect(primitives().tier).toBe("native");
  expect((await loadTier("native"))?.tier).toBe("native");
  expect((await loadTier("wasm"))?.tier).toBe("wasm");
  expect((await loadTier("js"))?.tier).toBe("js");
});

test("without node:crypto, or with one that lacks an algorithm, everything runs on the JavaScript tier", async () => {
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

test("the native choice loads neither noble's curves nor its post-quantum code", async () => {
  const prelude =
    "const { registerHooks } = process.getBuiltinModule('node:module'); const seen = []; registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } })";
  const urls = (await inFreshNode(prelude, "return seen;")) as string[];
  expect(urls.some((url) => url.includes("/crypto/native/"))).toBe(true);
  expect(urls.filter((url) => /@noble\/(curves|post-quantum|ciphers)|\/crypto\/js\//.test(url))).toEqual([]);
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
