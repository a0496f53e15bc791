// People for tests: real keys, real signatures, and accounts in a real database.

import { create } from "@bufbuild/protobuf";
import { type Envelope, StampSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  type KeySet,
  type PublishedKeySet,
  PublishedKeySetSchema,
} from "../../gen/keypears/v1/key_set_pb.ts";
import { generateSeeds } from "../../src/client/key-ring.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { mineStamp, stampKey } from "../../src/crypto/stamp.ts";
import { parseAddress } from "../../src/protocol/address.ts";
import {
  buildKeySet,
  type ParsedKeySet,
  type PrivateSeeds,
  verifyKeySet,
} from "../../src/protocol/key-set.ts";
import type { ShareContent } from "../../src/protocol/payload.ts";
import { type SealedShare, sealShare } from "../../src/protocol/seal.ts";
import type { KeySetRecord, SealedKeySetRecord, Stores } from "../../src/storage/stores.ts";

/** One key set with its seeds. */
export interface TestKeySet {
  readonly keySet: ParsedKeySet;
  readonly record: KeySet;
  readonly seeds: PrivateSeeds;
}

/** A fresh key set; the next one after `previous` if that is given. */
export function makeKeySet(
  address: string,
  createdAt: number,
  previous?: TestKeySet,
  options: { readonly reset?: boolean; readonly revokesPrevious?: boolean } = {},
): TestKeySet {
  const seeds = generateSeeds();
  const record = buildKeySet({
    address,
    createdAt,
    seeds,
    ...(previous && { previous: options.reset ? { keySet: previous.keySet } : previous }),
    revokesPrevious: options.revokesPrevious ?? false,
  });
  return { keySet: verifyKeySet(record), record, seeds };
}

/** The set as a domain publishes it. */
export function published(of: TestKeySet, next?: TestKeySet): PublishedKeySet {
  return create(PublishedKeySetSchema, {
    keySet: of.record,
    activeNumber: next?.keySet.number ?? of.keySet.number,
    supersededAt: BigInt(next?.keySet.createdAt ?? 0),
    revoked: next?.keySet.revokesPrevious ?? false,
  });
}

/** A key set as it is stored. */
export function keySetRecord({ keySet, record }: TestKeySet): KeySetRecord {
  return {
    number: keySet.number,
    body: record.body,
    hash: keySet.hash,
    selfSignature: record.selfSignature,
    continuitySignature: record.continuitySignature,
    createdAt: keySet.createdAt,
    revokesPrevious: keySet.revokesPrevious,
  };
}

/** Sealed seeds as far as a database can tell. */
export function sealedKeys(number: number): SealedKeySetRecord {
  return {
    number,
    ed25519: randomBytes(60),
    x25519: randomBytes(60),
    mlDsa65: randomBytes(60),
    mlKem768: randomBytes(92),
  };
}

/** Makes an account for a key set; answers with its id. */
export async function makeAccount(stores: Pick<Stores, "accounts">, own: TestKeySet): Promise<number> {
  const { address, createdAt } = own.keySet;
  const created = await stores.accounts.create({
    address,
    domain: parseAddress(address).domain,
    createdAt,
    password: {
      salt: randomBytes(32),
      memoryKiB: 65_536,
      passes: 3,
      lanes: 1,
      loginVerifier: randomBytes(32),
      wrappedAccountKey: randomBytes(60),
      wrapNumber: 1,
    },
    keySet: keySetRecord(own),
    sealedKeys: sealedKeys(own.keySet.number),
    session: { id: toHex(randomBytes(16)), tokenHash: randomBytes(32), deviceName: "test", createdAt },
  });
  if (created.kind !== "created") throw new Error(`the account was not created: ${created.kind}`);
  return created.accountId;
}

/** Publishes the next key set of an account. */
export async function publishKeySet(
  stores: Pick<Stores, "keySets">,
  accountId: number,
  next: TestKeySet,
): Promise<void> {
  const result = await stores.keySets.publish({
    accountId,
    expectedActiveNumber: next.keySet.number - 1,
    keySet: keySetRecord(next),
    sealedKeys: sealedKeys(next.keySet.number),
    now: next.keySet.createdAt,
    notice: {
      kind: 1,
      createdAt: next.keySet.createdAt,
      deviceName: "test",
      keySetNumber: next.keySet.number,
    },
    request: { id: crypto.randomUUID(), method: "PublishKeySet", fingerprint: randomBytes(32) },
  });
  if (result.kind !== "published") throw new Error(`the key set was not published: ${result.kind}`);
}

/** A share from one to another, with a stamp if a difficulty is given. */
export async function makeShare(
  sender: TestKeySet,
  recipient: TestKeySet,
  options: {
    readonly createdAt: number;
    readonly expiresAt?: number;
    readonly content?: ShareContent;
    readonly difficulty?: number;
  },
): Promise<SealedShare> {
  const sealed = sealShare({
    content: options.content ?? { kind: "text", text: "the door code is 4711" },
    sender,
    recipient: recipient.keySet,
    createdAt: options.createdAt,
    expiresAt: options.expiresAt ?? 0,
  });
  if (options.difficulty)
    await stamp(sealed.envelope, sealed.shareId, recipient.keySet.address, options.difficulty);
  return sealed;
}

/** Does the work of a stamp. */
export async function stamp(
  envelope: Envelope,
  shareId: Uint8Array,
  recipient: string,
  difficulty: number,
): Promise<void> {
  envelope.stamp = create(StampSchema, { nonce: await mineStamp(stampKey(shareId, recipient), difficulty) });
}
