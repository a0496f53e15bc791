// People with key sets, for the tests of key sets and envelopes. Seeds follow from names, so that every run has the same keys;
// nobody's real keys may ever be made like this.

import type { KeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import { primitives } from "../../src/crypto/select.ts";
import {
  buildKeySet,
  type NewKeySet,
  type ParsedKeySet,
  type PrivateSeeds,
  parseKeySetBody,
} from "../../src/protocol/key-set.ts";

/** 2026-01-01T00:00:00Z. */
export const START = Date.UTC(2026, 0, 1);

/** A published key set with what only its owner knows. */
export interface Owned {
  readonly record: KeySet;
  readonly keySet: ParsedKeySet;
  readonly seeds: PrivateSeeds;
}

/** Seeds that follow from a label. */
export function seedsOf(label: string): PrivateSeeds {
  const seed = (algorithm: string, length: number) =>
    primitives().blake3.deriveKey(
      "keypears tests seeds",
      new TextEncoder().encode(`${algorithm} ${label}`),
      length,
    );
  return {
    ed25519: seed("ed25519", 32),
    x25519: seed("x25519", 32),
    mlDsa65: seed("ml-dsa-65", 32),
    mlKem768: seed("ml-kem-768", 64),
  };
}

/** The first key set of an address. */
export function firstKeySet(address: string, createdAt = START): Owned {
  return owned({ address, createdAt, seeds: seedsOf(`${address} 1`) });
}

/** The next key set, a day later: vouched for by the one before, unless it is a reset. */
export function nextKeySet(
  previous: Owned,
  { reset = false, revokesPrevious = false }: { reset?: boolean; revokesPrevious?: boolean } = {},
): Owned {
  const { keySet, seeds } = previous;
  return owned({
    address: keySet.address,
    createdAt: keySet.createdAt + 86_400_000,
    seeds: seedsOf(`${keySet.address} ${keySet.number + 1}`),
    previous: reset ? { keySet } : { keySet, seeds },
    revokesPrevious,
  });
}

function owned(input: NewKeySet): Owned {
  const record = buildKeySet(input);
  return { record, keySet: parseKeySetBody(record.body), seeds: input.seeds };
}
