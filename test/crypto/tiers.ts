/** Both tiers, for tests that hold them to one standard or against each other. */

import { loadTier } from "../../src/crypto/index.ts";
import type { Primitives } from "../../src/crypto/primitives.ts";

export const native: Primitives = required(await loadTier("native"));
export const js: Primitives = required(await loadTier("js"));

/** For `describe.each`: the name first, so that a failing test says which tier it is. */
export const tiers: ReadonlyArray<readonly [string, Primitives]> = [
  ["native", native],
  ["js", js],
];

function required(tier: Primitives | null): Primitives {
  if (tier === null)
    throw new Error("tests need an engine that has both tiers: run them with the project's own Node");
  return tier;
}
