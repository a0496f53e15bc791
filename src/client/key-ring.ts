/**
 * An account's own keys: opened from their seals, compared with what the node publishes, rotated and reset (docs/protocol.md,
 * sections 3 and 5).
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
  follows,
  type ParsedKeySet,
  type PrivateSeeds,
  publicKeysOf,
  verifyKeySet,
} from "../protocol/key-set.ts";
import { MAX_KEY_SET_NUMBER } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { Environment } from "./environment.ts";
import { ClientError } from "./errors.ts";
import type { NodeClients } from "./rpc.ts";

/** One of the account's own key sets. */
export interface OwnKeySet {
  readonly keySet: ParsedKeySet;
  readonly seeds: PrivateSeeds;
  /** Whether the set before vouches for it; false for number 1 and for a reset. */
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
 * Opens all seeds of the account and compares what they give with what the node publishes for its address.
 *
 * @throws ClientError OWN_KEYS_MISMATCH when the node publishes anything else: it may be posing as this account.
 */
export async function loadKeyRing(context: KeyRingContext): Promise<KeyRing> {
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

/**
 * Publishes a new set that the active one vouches for.
 *
 * @param revokePrevious true after a compromise: nothing new may be signed by or sealed to the former set.
 */
export async function rotateKeys(
  context: KeyRingContext,
  ring: KeyRing,
  revokePrevious: boolean,
): Promise<KeyRing> {
  const active = ring.at(-1) ?? ring[0];
  return publish(
    context,
    ring,
    { keySet: active.keySet, seeds: active.seeds },
    revokePrevious,
    new Uint8Array(),
  );
}

/** Publishes a new set that nothing vouches for. Contacts will have to confirm it. */
export async function resetKeys(
  context: KeyRingContext,
  ring: KeyRing,
  loginKey: Uint8Array,
): Promise<KeyRing> {
  const active = ring.at(-1) ?? ring[0];
  return publish(context, ring, { keySet: active.keySet }, true, loginKey);
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
  return { keySet, seeds, continuous: published.continuitySignature.length > 0 };
}

function mismatch(what: string): ClientError {
  return new ClientError(
    "OWN_KEYS_MISMATCH",
    `the node publishes ${what} than this account's own seeds give: it may be posing as you; do not use it`,
  );
}
