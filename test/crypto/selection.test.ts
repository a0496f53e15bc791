import { describe, expect, test } from "vitest";
import { CryptoError } from "../../src/crypto/errors.ts";
import type { PrimitiveName, Primitives, TierName } from "../../src/crypto/primitives.ts";
import {
  type Selection,
  selectPrimitives,
  type TierSource,
  type TierSources,
} from "../../src/crypto/selection.ts";
import { flipped } from "./assertions.ts";
import { js, native, wasm } from "./tiers.ts";

const HASHING = ["blake3", "sha256", "sha512", "hkdfSha256", "argon2id"] as const;
const KEYED = ["ed25519", "x25519", "mlDsa65", "mlKem768", "aes256Gcm"] as const;

/** A source of the named primitives of a tier. */
function source(tier: Partial<Primitives>, names: readonly PrimitiveName[]): TierSource {
  return Object.fromEntries(names.map((name) => [name, async () => tier[name] ?? null])) as TierSource;
}

const all: TierSources = {
  native: source(native, [...KEYED, "sha256", "sha512", "hkdfSha256", "argon2id"]),
  wasm: source(wasm, HASHING),
  js: source(js, [...KEYED, ...HASHING]),
};

const tierOf = ({ report }: Selection, name: PrimitiveName) =>
  report.find(({ primitive }) => primitive === name)?.tier;

const statuses = ({ report }: Selection, name: PrimitiveName) =>
  report
    .find(({ primitive }) => primitive === name)
    ?.considered.map(({ tier, status }) => `${tier}: ${status}`);

describe("the choice of tiers", () => {
  test("takes the first that has a primitive, and loads none behind it", async () => {
    const never: TierSource = Object.fromEntries(
      KEYED.map((name) => [name, () => Promise.reject(new Error(`${name} must not be loaded`))]),
    );
    const selection = await selectPrimitives({ ...all, js: { ...all.js, ...never } });
    for (const name of KEYED) expect(tierOf(selection, name)).toBe("native");
    expect(tierOf(selection, "blake3")).toBe("wasm");
    expect(statuses(selection, "blake3")).toEqual(["native: absent", "wasm: chosen", "js: not needed"]);
    expect(statuses(selection, "ed25519")).toEqual(["native: chosen", "wasm: absent", "js: not needed"]);
    expect(selection.primitives.tier).toBe("native");
  });

  test("passes over a tier that this engine lacks", async () => {
    const none = async () => null;
    const selection = await selectPrimitives({ ...all, wasm: { ...all.wasm, blake3: none } });
    expect(statuses(selection, "blake3")).toEqual(["native: absent", "wasm: absent", "js: chosen"]);
  });

  test("passes over an implementation that fails its self-test, for that primitive alone, and reports it", async () => {
    const x25519 = { ...native.x25519, publicKey: (secret: Uint8Array) => secret.slice() };
    const blake3 = { ...wasm.blake3, hash: (data: Uint8Array) => flipped(wasm.blake3.hash(data), 3) };
    const selection = await selectPrimitives({
      ...all,
      native: { ...all.native, x25519: async () => x25519 },
      wasm: { ...all.wasm, blake3: async () => blake3 },
    });
    expect(statuses(selection, "x25519")).toEqual(["native: failed self-test", "wasm: absent", "js: chosen"]);
    expect(statuses(selection, "blake3")).toEqual(["native: absent", "wasm: failed self-test", "js: chosen"]);
    expect(tierOf(selection, "ed25519")).toBe("native");
    const key = new Uint8Array(32);
    expect(selection.primitives.x25519.publicKey(key)).toEqual(js.x25519.publicKey(key));
  });

  test.each<[TierName, TierName, TierName]>([
    ["native", "native", "native"],
    ["wasm", "native", "wasm"],
    ["js", "js", "js"],
  ])("with %s preferred, takes it wherever it has the primitive", async (preferred, keyed, hashing) => {
    const selection = await selectPrimitives(all, preferred);
    for (const name of KEYED) expect(tierOf(selection, name)).toBe(keyed);
    for (const name of HASHING) {
      expect(tierOf(selection, name)).toBe(name === "blake3" && preferred === "native" ? "wasm" : hashing);
    }
  });

  test("fails with a clear error when nothing is left", async () => {
    const selecting = selectPrimitives({ ...all, native: {}, js: source(js, HASHING) });
    await expect(selecting).rejects.toBeInstanceOf(CryptoError);
    await expect(selecting).rejects.toThrow("no working implementation of ed25519 here");
  });

  test("puts the same guards before whatever is chosen", async () => {
    const { primitives } = await selectPrimitives(all);
    expect(() => primitives.blake3.keyed(new Uint8Array(31), new Uint8Array(0))).toThrow(CryptoError);
    expect(primitives.ed25519.verify(new Uint8Array(31), new Uint8Array(0), new Uint8Array(64))).toBe(false);
    expect(
      await primitives.mlDsa65.verifyAside?.(new Uint8Array(3), new Uint8Array(0), new Uint8Array(0)),
    ).toBe(false);
  });
});
