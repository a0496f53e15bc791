/**
 * The tiers of this engine, and the choice between them. It is made once for each primitive, as this module loads, so
 * that everything after is synchronous. `KEYPEARS_CRYPTO_TIER` names a tier to put first: `native`, `wasm` or `js`.
 */

import { CryptoError } from "./errors.ts";
import { guarded, guardedHashes } from "./guard.ts";
import type { HashPrimitives, PrimitiveName, Primitives, TierName } from "./primitives.ts";
import {
  type PrimitiveReport,
  selectPrimitives,
  TIER_NAMES,
  type TierSource,
  type TierSources,
} from "./selection.ts";
import { passesSelfTests } from "./self-test.ts";

/** Name of the environment variable that puts a tier first. */
export const TIER_VARIABLE = "KEYPEARS_CRYPTO_TIER";

/**
 * Loads one tier by name, whatever the choice is: a whole set, or of `wasm` what hashes.
 *
 * @returns null where this engine lacks what the tier stands on, or the tier fails its self-test.
 */
export async function loadTier(name: "native" | "js"): Promise<Primitives | null>;
export async function loadTier(name: "wasm"): Promise<HashPrimitives | null>;
export async function loadTier(name: TierName): Promise<Primitives | HashPrimitives | null>;
export async function loadTier(name: TierName): Promise<Primitives | HashPrimitives | null> {
  if (name === "js") return guarded((await import("./js/index.ts")).jsTier);
  if (name === "native") {
    const tier = await nativeTier();
    return tier !== null && passesSelfTests(tier) ? guarded(tier) : null;
  }
  const tier = await (await import("./wasm/index.ts")).createWasmTier();
  return tier !== null && passesSelfTests(tier) ? guardedHashes(tier) : null;
}

/** The chosen primitives. */
export function primitives(): Primitives {
  return selection.primitives;
}

/** Which tier each primitive comes from, and what was found of the others. A failed self-test is to be logged. */
export function cryptoReport(): readonly PrimitiveReport[] {
  return selection.report;
}

/** The compiled kernel where BLAKE3 is chosen to run on it, for work that goes to threads; else null. */
export function chosenKernel(): WebAssembly.Module | null {
  return kernel;
}

let native: Promise<Primitives | null> | undefined;

function nativeTier(): Promise<Primitives | null> {
  native ??= loadNative();
  return native;
}

async function loadNative(): Promise<Primitives | null> {
  // Browsers and other engines are spared the download of a tier that they cannot have.
  if (globalThis.process?.getBuiltinModule === undefined) return null;
  return (await import("./native/index.ts")).createNativeTier();
}

function nativeSource<Name extends PrimitiveName>(name: Name): () => Promise<Primitives[Name] | null> {
  return async () => (await nativeTier())?.[name] ?? null;
}

/** What each tier has. OpenSSL has no BLAKE3; WebAssembly has what hashes. */
const SOURCES: TierSources = {
  native: {
    ed25519: nativeSource("ed25519"),
    x25519: nativeSource("x25519"),
    mlDsa65: nativeSource("mlDsa65"),
    mlKem768: nativeSource("mlKem768"),
    aes256Gcm: nativeSource("aes256Gcm"),
    sha256: nativeSource("sha256"),
    sha512: nativeSource("sha512"),
    hkdfSha256: nativeSource("hkdfSha256"),
    argon2id: nativeSource("argon2id"),
  },
  wasm: {
    blake3: async () => (await import("./wasm/index.ts")).wasmBlake3(),
    sha256: async () => (await import("./wasm/index.ts")).wasmSha256(),
    sha512: async () => (await import("./wasm/index.ts")).wasmSha512(),
    hkdfSha256: async () => (await import("./wasm/index.ts")).wasmHkdfSha256(),
    argon2id: async () => (await import("./wasm/index.ts")).wasmArgon2id(),
  },
  js: {
    blake3: async () => (await import("./js/blake3.ts")).jsBlake3,
    ed25519: async () => (await import("./js/ed25519.ts")).jsEd25519,
    x25519: async () => (await import("./js/x25519.ts")).jsX25519,
    mlDsa65: async () => (await import("./js/ml-dsa.ts")).jsMlDsa65,
    mlKem768: async () => (await import("./js/ml-kem.ts")).jsMlKem768,
    aes256Gcm: async () => (await import("./js/aes-gcm.ts")).jsAes256Gcm,
    sha256: async () => (await import("./js/hashes.ts")).jsHashes.sha256,
    sha512: async () => (await import("./js/hashes.ts")).jsHashes.sha512,
    hkdfSha256: async () => (await import("./js/hashes.ts")).jsHashes.hkdfSha256,
    argon2id: async () => (await import("./js/hashes.ts")).jsHashes.argon2id,
  } satisfies Required<TierSource>,
};

/** The tier that the environment puts first. @throws CryptoError `out-of-range` when it names none. */
function preferredTier(): TierName | undefined {
  const name = globalThis.process?.env?.[TIER_VARIABLE];
  if (name === undefined || name === "") return undefined;
  const tier = TIER_NAMES.find((known) => known === name);
  if (tier === undefined) {
    throw new CryptoError("out-of-range", `${TIER_VARIABLE} must be one of ${TIER_NAMES.join(", ")}`);
  }
  return tier;
}

const selection = await selectPrimitives(SOURCES, preferredTier());
const blake3Tier = selection.report.find(({ primitive }) => primitive === "blake3")?.tier;
const kernel = blake3Tier === "wasm" ? (await import("./wasm/index.ts")).kernelModule() : null;
