/** The tiers, for tests that hold them to one standard or against each other. */

import { loadTier } from "../../src/crypto/index.ts";
import type { HashPrimitives, Primitives } from "../../src/crypto/primitives.ts";

export const native: Primitives = required(await loadTier("native"));
export const wasm: HashPrimitives = required(await loadTier("wasm"));
export const js: Primitives = required(await loadTier("js"));

/** The whole sets, for `describe.each`: the name first, so that a failing test says which tier it is. */
export const tiers: ReadonlyArray<readonly [string, Primitives]> = [
  ["native", native],
  ["js", js],
];

/** Every tier, for what hashes. */
export const hashTiers: ReadonlyArray<readonly [string, HashPrimitives]> = [
  ["native", native],
  ["wasm", wasm],
  ["js", js],
];

function required<T>(tier: T | null): T {
  if (tier === null)
    throw new Error("tests need an engine that has every tier: run them with the project's own Node");
  return tier;
}
