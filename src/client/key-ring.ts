/**
 * An account's own keys: opened from their seals, compared with what the node publishes and with what the account's devices
 * have seen, rotated and reset (docs/protocol.md, sections 3 and 5).
 */

import { create } from "@bufbuild/protobuf";
import {
  type KeySet,
  KeySetView,
  type PublishedKeySet,
  type SealedKeySet,
  SealedKeySetSchema,
} from "../../gen/keypears/v1/key_set_pb.ts";
import { openSeed, SEED_LENGTH, type SeedAlgorithm, sealSeed } from "../crypto/account-key.ts";
import { randomBytes } from "../crypto/bytes.ts";
import {
  buildKeySet,
  continues,
  follows,
  type ParsedKeySet,
  type PrivateSeeds,
  publicKeysOf,
  verifyKeySet,
} from "../protocol/key-set.ts";
import { MAX_KEY_SET_NUMBER } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { ContactBookStore } from "./contact-book.ts";
import type { DeviceMemory, SeenKeySet } from "./device-memory.ts";
import type { Environment } from "./environment.ts";
import { ClientError } from "./errors.ts";
import type { NodeClients } from "./rpc.ts";

/** One of the account's own key sets. */
export interface OwnKeySet {
  readonly keySet: ParsedKeySet;
  readonly seeds: PrivateSeeds;
  /** Whether the keys of the set before vouch for it; false for number 1 and for a reset. */
  readonly continuous: boolean;
}

/** All of them, in ascending order of number; the last one is active. */
export type KeyRing = readonly [OwnKeySet, ...OwnKeySet[]];

/** What the key ring's functions work on. */
export interface KeyRingContext {
  readonly env: Environment;
  readonly node: NodeClients;
  readonly address: string;
  readonly accountKey: Uint8Array;
  readonly memory: DeviceMemory;
}

/** The key ring of one account, as its devices share it. */
export interface KeyRingStore {
  /**
   * All key sets. Loaded once, and again when the contact book knows of a newer one.
   *
   * @throws ClientError OWN_KEYS_MISMATCH when the node publishes other sets than the account's seeds give, or hides one that
   *   a device of the account has seen.
   */
  read(): Promise<KeyRing>;
  /**
   * Publishes a set that the active one vouches for. Where this fails after the node took the set, `read` has it.
   *
   * @param revokePrevious true after a compromise: nothing new may be signed by or sealed to the former set.
   */
  rotate(revokePrevious: boolean): Promise<KeyRing>;
  /** Publishes a set that nothing vouches for. Contacts will have to confirm it. Fails as `rotate` does. */
  reset(loginKey: Uint8Array): Promise<KeyRing>;
}

/** Makes the store. */
export function createKeyRing(context: KeyRingContext, book: ContactBookStore): KeyRingStore {
  const { memory } = context;
  let current: Promise<KeyRing> | undefined;

  function load(): Promise<KeyRing> {
    const loading = loadKeyRing(context);
    current = loading;
    return loading;
  }

  async function read(): Promise<KeyRing> {
    try {
      const [loaded, fromBook] = await Promise.all([current ?? load(), book.ownKeySet()]);
      const known = [memory.seen.ownKeySet, fromBook].filter((seen) => seen !== undefined);
      // Another device may have published after this ring was read.
      const behind = known.some(({ number }) => number > activeOf(loaded).keySet.number);
      const ring = behind ? await load() : loaded;
      requireSeen(ring, known);
      await memory.add({ ownKeySet: referenceTo(activeOf(ring)) });
      return ring;
    } catch (error) {
      current = undefined;
      throw error;
    }
  }

  async function publishNext(make: (ring: KeyRing) => Promise<KeyRing>): Promise<KeyRing> {
    current = undefined; // another device may have published meanwhile
    const ring = await make(await read());
    current = Promise.resolve(ring);
    await memory.add({ ownKeySet: referenceTo(activeOf(ring)) });
    // Last: a book that is behind the ring locks nobody out, and the next change to it catches up.
    await book.recordOwnKeySet();
    return ring;
  }

  return {
    read,
    rotate: (revokePrevious) => publishNext((ring) => rotateKeys(context, ring, revokePrevious)),
    reset: (loginKey) => publishNext((ring) => resetKeys(context, ring, loginKey)),
  };
}

/** The set that signs and receives. */
export function activeOf(ring: KeyRing): OwnKeySet {
  return ring.at(-1) ?? ring[0];
}

/** Fresh seeds of a key set. */
export function generateSeeds(): PrivateSeeds {
  return {
    ed25519: randomBytes(SEED_LENGTH.ed25519),
    x25519: randomBytes(SEED_LENGTH.x25519),
    mlDsa65: randomBytes(SEED_LENGTH["ml-dsa-65"]),
    mlKem768: randomBytes(SEED_LENGTH["ml-kem-768"]),
  };
}

/** The four seeds of a set, each sealed alone under the account key. */
export function sealSeeds(
  accountKey: Uint8Array,
  seeds: PrivateSeeds,
  address: string,
  number: number,
): SealedKeySet {
  const seal = (algorithm: SeedAlgorithm, seed: Uint8Array) =>
    sealSeed(accountKey, seed, { algorithm, address, number });
  return create(SealedKeySetSchema, {
    number,
    sealedEd25519Seed: seal("ed25519", seeds.ed25519),
    sealedX25519Seed: seal("x25519", seeds.x25519),
    sealedMlDsa65Seed: seal("ml-dsa-65", seeds.mlDsa65),
    sealedMlKem768Seed: seal("ml-kem-768", seeds.mlKem768),
  });
}

/**
 * All key sets of an address with numbers above `after`, in full, in the order in which the node gives them.
 *
 * @throws ClientError NODE_ANSWER_INVALID when there are more than an address can have: a node could go on for ever.
 */
export async function listKeySets(node: NodeClients, address: string, after: number): Promise<KeySet[]> {
  const keySets: PublishedKeySet[] = [];
  let pageToken = "";
  do {
    const page = await node.keySets.listKeySets({
      address,
      view: KeySetView.FULL,
      afterNumber: after,
      pageToken,
    });
    keySets.push(...page.keySets);
    if (keySets.length > MAX_KEY_SET_NUMBER) {
      throw new ClientError(
        "NODE_ANSWER_INVALID",
        `the node of ${address} lists more key sets than there can be`,
      );
    }
    pageToken = page.keySets.length > 0 ? page.nextPageToken : "";
  } while (pageToken !== "");
  return keySets.flatMap(({ keySet }) => keySet ?? []);
}

/** Opens all seeds of the account and compares what they give with what the node publishes for its address. */
async function loadKeyRing(context: KeyRingContext): Promise<KeyRing> {
  const [{ sealedKeySets }, published] = await Promise.all([
    context.node.accounts.getSealedKeys({}),
    listKeySets(context.node, context.address, 0),
  ]);
  if (published.length !== sealedKeySets.length) throw mismatch("another number of key sets");
  const ring: OwnKeySet[] = [];
  for (const [index, sealed] of sealedKeySets.entries()) {
    const keySet = published[index];
    if (!keySet) throw mismatch(`no key set ${sealed.number}`);
    ring.push(openOwn(context, sealed, keySet, ring.at(-1)?.keySet));
  }
  const [first, ...rest] = ring;
  if (!first) throw mismatch("no key set at all");
  return [first, ...rest];
}

/** Refuses a ring that lacks a set which a device of the account has seen. */
function requireSeen(ring: KeyRing, seen: readonly SeenKeySet[]): void {
  for (const { number, hash } of seen) {
    const own = ring.find(({ keySet }) => keySet.number === number);
    if (own && sameBytes(own.keySet.hash, hash)) continue;
    throw new ClientError(
      "OWN_KEYS_MISMATCH",
      `the node hides key set ${number} of this account, which one of its devices has seen: do not use it, and ask its operator why`,
    );
  }
}

function referenceTo({ keySet: { number, hash } }: OwnKeySet): SeenKeySet {
  return { number, hash };
}

function rotateKeys(context: KeyRingContext, ring: KeyRing, revokePrevious: boolean): Promise<KeyRing> {
  const { keySet, seeds } = activeOf(ring);
  return publish(context, ring, { keySet, seeds }, revokePrevious, new Uint8Array());
}

function resetKeys(context: KeyRingContext, ring: KeyRing, loginKey: Uint8Array): Promise<KeyRing> {
  return publish(context, ring, { keySet: activeOf(ring).keySet }, true, loginKey);
}

async function publish(
  { env, node, address, accountKey }: KeyRingContext,
  ring: KeyRing,
  previous: { keySet: ParsedKeySet; seeds?: PrivateSeeds },
  revokesPrevious: boolean,
  loginKey: Uint8Array,
): Promise<KeyRing> {
  const seeds = generateSeeds();
  const createdAt = Math.max(env.now(), previous.keySet.createdAt + 1);
  const keySet = buildKeySet({ address, createdAt, seeds, previous, revokesPrevious });
  const parsed = verifyKeySet(keySet);
  await node.keySets.publishKeySet({
    requestId: crypto.randomUUID(),
    keySet,
    expectedActiveNumber: previous.keySet.number,
    sealedKeys: sealSeeds(accountKey, seeds, address, parsed.number),
    loginKey,
  });
  return [...ring, { keySet: parsed, seeds, continuous: previous.seeds !== undefined }];
}

function openOwn(
  { accountKey, address }: KeyRingContext,
  sealed: SealedKeySet,
  published: KeySet,
  previous: ParsedKeySet | undefined,
): OwnKeySet {
  const { number } = sealed;
  const open = (algorithm: SeedAlgorithm, box: Uint8Array) =>
    openSeed(accountKey, box, { algorithm, address, number });
  const seeds: PrivateSeeds = {
    ed25519: open("ed25519", sealed.sealedEd25519Seed),
    x25519: open("x25519", sealed.sealedX25519Seed),
    mlDsa65: open("ml-dsa-65", sealed.sealedMlDsa65Seed),
    mlKem768: open("ml-kem-768", sealed.sealedMlKem768Seed),
  };
  const keySet = verifyKeySet(published);
  const expected = publicKeysOf(seeds);
  const same =
    keySet.number === number &&
    keySet.address === address &&
    sameBytes(keySet.publicKeys.ed25519, expected.ed25519) &&
    sameBytes(keySet.publicKeys.x25519, expected.x25519) &&
    sameBytes(keySet.publicKeys.mlDsa65, expected.mlDsa65) &&
    sameBytes(keySet.publicKeys.mlKem768, expected.mlKem768) &&
    (previous === undefined ? number === 1 : follows(previous, keySet));
  if (!same) throw mismatch(`other keys under number ${number}`);
  const continuous = previous !== undefined && continues(previous, keySet, published.continuitySignature);
  return { keySet, seeds, continuous };
}

function mismatch(what: string): ClientError {
  return new ClientError(
    "OWN_KEYS_MISMATCH",
    `the node publishes ${what} than this account's own seeds give: it may be posing as you; do not use it`,
  );
}
