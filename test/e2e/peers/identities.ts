// The people of a hostile peer: real key sets with real signatures, made for any address when it is first asked for.

import { makeKeySet, published, type TestKeySet } from "../../support/people.ts";

/** How long before now a first key set is dated, in milliseconds: room for envelopes and sets dated later. */
const AGE_MS = 60_000;

/** Key sets by address. */
export interface Identities {
  /** All sets of an address, in ascending order of number; there is at least one. */
  of(address: string): readonly TestKeySet[];
  /** Makes the next set. */
  rotate(address: string, options?: { readonly revokesPrevious?: boolean }): TestKeySet;
  /** A set as its domain publishes it; the active one for number 0. */
  publish(address: string, number: number): ReturnType<typeof published>;
}

/** Makes an empty village. */
export function createIdentities(): Identities {
  const sets = new Map<string, TestKeySet[]>();

  function of(address: string): TestKeySet[] {
    const known = sets.get(address) ?? [makeKeySet(address, Date.now() - AGE_MS)];
    sets.set(address, known);
    return known;
  }

  return {
    of,
    rotate(address, options = {}) {
      const all = of(address);
      const previous = all.at(-1);
      const next = makeKeySet(address, (previous?.keySet.createdAt ?? 0) + 1_000, previous, options);
      all.push(next);
      return next;
    },
    publish(address, number) {
      const all = of(address);
      const index = number === 0 ? all.length - 1 : number - 1;
      const set = all[index];
      if (set === undefined) throw new Error(`${address} has no set ${number}`);
      const answer = published(set, all[index + 1]);
      answer.activeNumber = all.length;
      return answer;
    },
  };
}
