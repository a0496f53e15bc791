/**
 * How the tier of each primitive is chosen: the first, in the measured order, that is present and gives the known answer.
 * A tier that is not reached is not loaded.
 */

import { CryptoError } from "./errors.ts";
import { guards } from "./guard.ts";
import type { PrimitiveName, Primitives, TierName } from "./primitives.ts";
import { passesSelfTest } from "./self-test.ts";

/** The ways to a tier's primitives; null where this engine lacks one. A primitive that no engine has in it is left out. */
export type TierSource = { readonly [Name in PrimitiveName]?: () => Promise<Primitives[Name] | null> };

/** Every tier. */
export type TierSources = Readonly<Record<TierName, TierSource>>;

/** What became of a tier for one primitive. */
export type TierStatus = "chosen" | "absent" | "failed self-test" | "not needed";

/** Which tier a primitive comes from, and what was found of each in the order in which they stand. */
export interface PrimitiveReport {
  readonly primitive: PrimitiveName;
  readonly tier: TierName;
  readonly considered: ReadonlyArray<{ readonly tier: TierName; readonly status: TierStatus }>;
}

/** What was chosen, and why. */
export interface Selection {
  readonly primitives: Primitives;
  readonly report: readonly PrimitiveReport[];
}

/** Tiers by their names. */
export const TIER_NAMES: readonly TierName[] = ["native", "wasm", "js"];

// Fastest first. One order serves every primitive, as measured on Node 24 with OpenSSL 3.5 (docs/crypto.md has the
// figures): OpenSSL beats WebAssembly from 256 bytes of SHA-2 on and in Argon2id, and each beats JavaScript everywhere.
const ORDER = TIER_NAMES;

/**
 * Chooses for every primitive.
 *
 * @param preferred comes first wherever it has the primitive; what it lacks follows the order.
 * @throws CryptoError `unavailable` when a primitive is left without any tier.
 */
export async function selectPrimitives(sources: TierSources, preferred?: TierName): Promise<Selection> {
  const order = preferred === undefined ? ORDER : [preferred, ...ORDER.filter((tier) => tier !== preferred)];
  const report: PrimitiveReport[] = [];
  const choose = async <Name extends PrimitiveName>(name: Name): Promise<Primitives[Name]> => {
    const found = await chooseOne(name, sources, order);
    report.push(found.report);
    return guards[name](found.own);
  };
  const primitives: Primitives = {
    blake3: await choose("blake3"),
    ed25519: await choose("ed25519"),
    x25519: await choose("x25519"),
    mlDsa65: await choose("mlDsa65"),
    mlKem768: await choose("mlKem768"),
    aes256Gcm: await choose("aes256Gcm"),
    sha256: await choose("sha256"),
    sha512: await choose("sha512"),
    hkdfSha256: await choose("hkdfSha256"),
    argon2id: await choose("argon2id"),
    get tier() {
      return report.find(({ primitive }) => primitive === "ed25519")?.tier ?? "js";
    },
  };
  return { primitives, report };
}

async function chooseOne<Name extends PrimitiveName>(
  name: Name,
  sources: TierSources,
  order: readonly TierName[],
): Promise<{ own: Primitives[Name]; report: PrimitiveReport }> {
  const considered: Array<{ tier: TierName; status: TierStatus }> = [];
  let chosen: { own: Primitives[Name]; tier: TierName } | null = null;
  for (const tier of order) {
    if (chosen !== null) {
      considered.push({ tier, status: sources[tier][name] === undefined ? "absent" : "not needed" });
      continue;
    }
    const own = (await sources[tier][name]?.()) ?? null;
    if (own === null) {
      considered.push({ tier, status: "absent" });
    } else if (!mayBeUsed(name, tier, own)) {
      considered.push({ tier, status: "failed self-test" });
    } else {
      considered.push({ tier, status: "chosen" });
      chosen = { own, tier };
    }
  }
  if (chosen === null) throw new CryptoError("unavailable", `no working implementation of ${name} here`);
  return { own: chosen.own, report: { primitive: name, tier: chosen.tier, considered } };
}

// The JavaScript tier has no self-test: nothing stands behind it, and the test would cost a browser a tenth of a second.
function mayBeUsed<Name extends PrimitiveName>(name: Name, tier: TierName, own: Primitives[Name]): boolean {
  return tier === "js" || passesSelfTest(name, own);
}
