/**
 * Chooses the tier: the native one where it exists and gives the known answers, else JavaScript. The choice is made
 * once, as this module loads, so that everything after is synchronous. A tier that is not asked for is never loaded.
 */

import { guarded } from "./guard.ts";
import type { Primitives, TierName } from "./primitives.ts";
import { passesSelfTest } from "./self-test.ts";

/**
 * Loads one tier by name, whatever the choice is.
 *
 * @returns null where this engine lacks what the native tier stands on, or that tier fails its self-test.
 */
export async function loadTier(name: TierName): Promise<Primitives | null> {
  const tier = name === "native" ? await loadNative() : (await import("./js/index.ts")).jsTier;
  return tier === null ? null : guarded(tier);
}

/** The chosen primitives. */
export function primitives(): Primitives {
  return chosen;
}

async function loadNative(): Promise<Primitives | null> {
  // Browsers and other engines are spared the download of a tier that they cannot have.
  if (globalThis.process?.getBuiltinModule === undefined) return null;
  const tier = await (await import("./native/index.ts")).createNativeTier();
  return tier !== null && passesSelfTest(tier) ? tier : null;
}

// The JavaScript tier has no self-test: nothing stands behind it, and the test would cost a browser a tenth of a second.
const chosen = (await loadTier("native")) ?? guarded((await import("./js/index.ts")).jsTier);
