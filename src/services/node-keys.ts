/**
 * The keys with which this node proves what it hosts (docs/protocol.md, section 2.1): the same for all processes and nodes of
 * a database, each told 30 days before it follows the one before, so that owners can authorize it in time.
 */

import type { Clock } from "../clock.ts";
import { composite } from "../crypto/index.ts";
import type { Hints } from "../hints.ts";
import { type CompositeKeyPair, generateCompositeKeyPair } from "../protocol/domain-key.ts";
import { NODE_KEY_LEAD_MS } from "../protocol/limits.ts";
import type { NodeKeyRecord, NodeKeyStore } from "../storage/stores.ts";

/** A key and from when it counts, in Unix milliseconds. */
export interface NodeKey extends CompositeKeyPair {
  readonly activeFrom: number;
}

/** The node's keys at one moment. */
export interface PresentNodeKeys {
  readonly current: NodeKey;
  /** What follows it; undefined while nothing does. */
  readonly next: NodeKey | undefined;
}

/** The node's keys. */
export interface NodeKeys {
  /** Makes the first key if there is none. @throws StorageError. */
  present(): Promise<PresentNodeKeys>;
}

/** What the keys are read with. */
export interface NodeKeysOptions {
  readonly nodeKeys: NodeKeyStore;
  readonly clock: Clock;
  readonly hints: Hints;
}

const MAX_AGE_MS = 60_000;
/** The same while no hints arrive. */
const MAX_AGE_UNHEARD_MS = 1_000;

/** Reads the keys when they are asked for, and keeps them for a while. */
export function createNodeKeys({ nodeKeys, clock, hints }: NodeKeysOptions): NodeKeys {
  let known: { readonly keys: readonly NodeKey[]; readonly since: number } | undefined;
  const forget = () => {
    known = undefined;
  };
  hints.listen(({ kind }) => {
    if (kind === "domains") forget();
  });
  hints.onGap(forget);

  return {
    async present() {
      const now = clock();
      const age = known === undefined ? Number.NaN : now - known.since;
      // A clock that was set back tells no age.
      if (!(age >= 0 && age < (hints.connected ? MAX_AGE_MS : MAX_AGE_UNHEARD_MS))) {
        const records = await ensureNodeKey(nodeKeys, now);
        known = { keys: records.map(toNodeKey), since: now };
      }
      return presentOf(known?.keys ?? [], now);
    },
  };
}

/** What became of a rotation. */
export type NodeKeyRotation =
  | { readonly kind: "announced"; readonly next: NodeKey }
  /** One is announced already. */
  | { readonly kind: "pending"; readonly next: NodeKey }
  | { readonly kind: "conflict" };

/**
 * Announces the next key: it follows in 30 days, or at once, for a key that others may have. Whatever authorization does not
 * name it by then proves nothing any more.
 */
export async function rotateNodeKey(
  nodeKeys: NodeKeyStore,
  now: number,
  { atOnce = false } = {},
): Promise<NodeKeyRotation> {
  const records = await ensureNodeKey(nodeKeys, now);
  const { next } = presentOf(records.map(toNodeKey), now);
  if (next !== undefined && !atOnce) return { kind: "pending", next };
  const last = records.at(-1)?.number ?? 0;
  const key = { ...generateCompositeKeyPair(), activeFrom: atOnce ? now : now + NODE_KEY_LEAD_MS };
  if (!(await nodeKeys.add(key, last))) return { kind: "conflict" };
  return { kind: "announced", next: key };
}

/** Forgets the keys that another one has followed. */
export async function forgetRetiredNodeKeys(nodeKeys: NodeKeyStore, now: number): Promise<void> {
  const records = await nodeKeys.list();
  const current = records.findLast(({ activeFrom }) => activeFrom <= now);
  if (current !== undefined && current !== records[0]) await nodeKeys.deleteBelow(current.number);
}

/** All keys, of which there is one at least. */
export async function ensureNodeKey(nodeKeys: NodeKeyStore, now: number): Promise<readonly NodeKeyRecord[]> {
  const records = await nodeKeys.list();
  if (records.length > 0) return records;
  const { secretKey } = generateCompositeKeyPair();
  // Another process may be first: then its key is the one.
  await nodeKeys.add({ secretKey, activeFrom: now }, 0);
  return nodeKeys.list();
}

/** @throws Error for no keys: a mistake of the caller's. */
export function presentOf(keys: readonly NodeKey[], now: number): PresentNodeKeys {
  // The first one counts also for a clock that is behind the one by which it was made.
  const current = keys.findLast(({ activeFrom }) => activeFrom <= now) ?? keys[0];
  if (current === undefined) throw new Error("a node has a key from its first start");
  return { current, next: keys[keys.indexOf(current) + 1] };
}

/** A stored key with its public half. */
export function toNodeKey({ secretKey, activeFrom }: NodeKeyRecord): NodeKey {
  return { secretKey, publicKey: composite.publicKey(secretKey), activeFrom };
}
