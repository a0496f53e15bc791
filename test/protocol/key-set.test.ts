import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { type KeySet, KeySetBodySchema, KeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import { concat, fromHex } from "../../src/crypto/bytes.ts";
import { COMPOSITE_SIGNATURE_LENGTH, composite } from "../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import { primitives } from "../../src/crypto/select.ts";
import {
  buildKeySet,
  continues,
  follows,
  type NewKeySet,
  parseKeySetBody,
  publicKeysOf,
  signingKey,
  verifyingKey,
  verifyKeySet,
} from "../../src/protocol/key-set.ts";
import { firstKeySet, nextKeySet, type Owned, START, seedsOf } from "./people.ts";
import { refusal } from "./refusal.ts";
import { bytes, number } from "./wire.ts";

const ALICE = "alice@example.com";
const first = firstKeySet(ALICE);
const second = nextKeySet(first);
const LATEST = 8_640_000_000_000_000n;

/** A set's body with some fields changed. */
function bodyWith(owned: Owned, change: MessageInitShape<typeof KeySetBodySchema>): Uint8Array {
  return toBinary(KeySetBodySchema, Object.assign(fromBinary(KeySetBodySchema, owned.keySet.body), change));
}

/** A key set around any body, signed by the given owners. */
function signed(body: Uint8Array, self: Owned, previous?: Owned): KeySet {
  return create(KeySetSchema, {
    body,
    selfSignature: composite.sign(signingKey(self.seeds), body, SIGNATURE_CONTEXT.keySet),
    continuitySignature: previous
      ? composite.sign(signingKey(previous.seeds), body, SIGNATURE_CONTEXT.keySetRotation)
      : new Uint8Array(),
  });
}

const parseMessage = (body: Uint8Array) => {
  const { reason, field, message } = refusal(() => parseKeySetBody(body));
  expect(reason).toBe("KEY_SET_INVALID");
  if (message.startsWith("key set: ")) expect(field).toBe("key_set");
  return message.replace("key set: ", "");
};
const verifyMessage = (keySet: KeySet) => {
  const { reason, message } = refusal(() => verifyKeySet(keySet));
  expect(reason).toBe("KEY_SET_INVALID");
  return message.replace("key set: ", "");
};
const resized = (key: Uint8Array, by: number) =>
  by < 0 ? key.slice(0, by) : concat(key, new Uint8Array(by));

describe("a key set body that is refused", () => {
  const { publicKeys } = second.keySet;

  it.each([
    ["an unknown field", concat(second.keySet.body, number(11, 1))],
    ["a repeated scalar", concat(number(1, 1), second.keySet.body)],
    ["an explicit default", concat(second.keySet.body, number(10, 0))],
    ["fields out of order", concat(second.keySet.body.subarray(2), number(1, 1))],
    ["a trailing byte", concat(second.keySet.body, Uint8Array.of(0))],
    ["no byte less than all", second.keySet.body.subarray(0, -1)],
  ])("has %s", (_, body) => {
    expect(parseMessage(body)).toMatch(
      /^key set body is (no valid protobuf message|not in canonical encoding)$/,
    );
  });

  it.each([0, 2, 2 ** 32 - 1])("has version %i", (version) => {
    expect(parseMessage(bodyWith(second, { version }))).toBe(`version ${version} is not known`);
  });

  it.each([
    "",
    "alice",
    "Alice@example.com",
    "alice@EXAMPLE.com",
    "alice@example.com.",
    '"alice"@example.com',
    "alice@bücher.example",
    "e\u0301ve@example.com",
    " alice@example.com",
    "alice@example.com\u0000",
  ])("has the address %j, which is not canonical", (address) => {
    expect(parseMessage(bodyWith(second, { address }))).toBe("address is not in canonical form");
  });

  it.each([0, 101, 2 ** 32 - 1])("has the number %i", (value) => {
    expect(parseMessage(bodyWith(second, { number: value }))).toBe("number is not from 1 to 100");
  });

  it.each([0n, LATEST + 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])("was made at %s", (createdAt) => {
    expect(parseMessage(bodyWith(second, { createdAt }))).toBe("created_at is no time");
  });

  it.each([
    ["ed25519_public_key", "ed25519PublicKey", publicKeys.ed25519],
    ["x25519_public_key", "x25519PublicKey", publicKeys.x25519],
    ["ml_dsa_65_public_key", "mlDsa65PublicKey", publicKeys.mlDsa65],
    ["ml_kem_768_public_key", "mlKem768PublicKey", publicKeys.mlKem768],
  ] as const)("has a %s of another length", (field, property, key) => {
    for (const by of [-key.length, -1, 1]) {
      const message = `${field} is ${key.length + by} bytes, not ${key.length}`;
      expect(parseMessage(bodyWith(second, { [property]: resized(key, by) }))).toBe(message);
    }
  });

  it.each([
    ["no previous hash", 2, 0, "previous_hash is 0 bytes, not 32"],
    ["a previous hash that is too short", 2, 31, "previous_hash is 31 bytes, not 32"],
    ["a previous hash that is too long", 100, 33, "previous_hash is 33 bytes, not 32"],
    ["a previous hash although it is the first", 1, 32, "previous_hash is 32 bytes, not 0"],
  ])("has %s", (_, value, length, message) => {
    const body = bodyWith(second, { number: value, previousHash: new Uint8Array(length).fill(1) });
    expect(parseMessage(body)).toBe(message);
  });

  it("revokes a previous set although it is the first", () => {
    expect(parseMessage(bodyWith(first, { revokesPrevious: true }))).toBe(
      "number 1 has no previous set to revoke",
    );
  });

  it.each(lowOrderPoints())("has the X25519 key %s, which is of low order", (hex) => {
    expect(parseMessage(bodyWith(second, { x25519PublicKey: fromHex(hex) }))).toBe(
      "x25519_public_key is of low order",
    );
  });

  it.each([
    ["first", 0, [0x01, 0x0d]],
    ["second", 1, [0x10, 0xd0]],
    ["last", 1150, [0x10, 0xd0]],
  ])("has an ML-KEM key whose %s coefficient is the modulus", (_, offset, modulus) => {
    const key = Uint8Array.from(publicKeys.mlKem768);
    // 3329 = 0xd01 in twelve bits: the low eight and high four of a first coefficient, the low four and high eight of a second.
    key.set(modulus, offset);
    expect(parseMessage(bodyWith(second, { mlKem768PublicKey: key }))).toBe(
      "ml_kem_768_public_key fails the modulus check of FIPS 203",
    );
  });

  it("is never read from random bytes, and never throws anything but a protocol error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4_000 }), (body) => {
        parseMessage(body);
      }),
    );
  });
});

describe("a key set body", () => {
  it("is read as it was built", () => {
    const revoking = nextKeySet(first, { revokesPrevious: true }).keySet;
    expect(parseKeySetBody(revoking.body)).toEqual({
      address: ALICE,
      number: 2,
      createdAt: START + 86_400_000,
      publicKeys: publicKeysOf(seedsOf(`${ALICE} 2`)),
      previousHash: first.keySet.hash,
      revokesPrevious: true,
      hash: primitives().blake3.hash(revoking.body),
      body: revoking.body,
    });
  });

  it("has the field numbers of the contract", () => {
    const { publicKeys } = second.keySet;
    const byHand = concat(
      number(1, 1),
      bytes(2, ALICE),
      number(3, 2),
      number(4, START + 86_400_000),
      bytes(5, publicKeys.ed25519),
      bytes(6, publicKeys.x25519),
      bytes(7, publicKeys.mlDsa65),
      bytes(8, publicKeys.mlKem768),
      bytes(9, primitives().blake3.hash(first.keySet.body)),
      number(10, 1),
    );
    expect(nextKeySet(first, { revokesPrevious: true }).keySet.body).toEqual(byHand);
  });

  it("may be dated at either end of time, and bear the highest number", () => {
    expect(parseKeySetBody(bodyWith(first, { createdAt: 1n })).createdAt).toBe(1);
    expect(parseKeySetBody(bodyWith(second, { createdAt: LATEST })).createdAt).toBe(Number(LATEST));
    expect(parseKeySetBody(bodyWith(second, { number: 100 })).number).toBe(100);
  });

  it("may have an ML-KEM key whose coefficient is one below the modulus", () => {
    const mlKem768PublicKey = Uint8Array.from(second.keySet.publicKeys.mlKem768);
    mlKem768PublicKey.set([0x00, ((mlKem768PublicKey[1] ?? 0) & 0xf0) | 0x0d]);
    expect(parseKeySetBody(bodyWith(second, { mlKem768PublicKey })).publicKeys.mlKem768).toEqual(
      mlKem768PublicKey,
    );
  });
});

describe("building a key set", () => {
  const next: NewKeySet = { ...input(second.keySet.createdAt), previous: first };

  it.each([
    ["an address that is not canonical", { ...input(START), address: "Alice@example.com" }],
    ["a first set that revokes", { ...input(START), revokesPrevious: true }],
    ["a first set made at no time", input(0)],
    ["a set of another address than the one before", { ...next, address: "bob@example.com" }],
    ["a set of the same millisecond as the one before", { ...next, createdAt: first.keySet.createdAt }],
    ["a set dated before the one before", { ...next, createdAt: first.keySet.createdAt - 1 }],
    ["a hundred-and-first set", { ...next, previous: { keySet: { ...first.keySet, number: 100 } } }],
  ])("refuses %s", (_, refused) => {
    expect(refusal(() => buildKeySet(refused)).reason).toBe("KEY_SET_INVALID");
  });

  it("takes a set made one millisecond after the one before", () => {
    const built = buildKeySet({ ...next, createdAt: first.keySet.createdAt + 1 });
    expect(follows(first.keySet, verifyKeySet(built))).toBe(true);
  });

  it("leaves the seeds as they were", () => {
    const seeds = seedsOf("kept");
    buildKeySet({ address: ALICE, createdAt: START, seeds });
    expect(seeds).toEqual(seedsOf("kept"));
  });
});

describe("a key set whose signatures are refused", () => {
  const { body } = second.keySet;
  const { selfSignature, continuitySignature } = second.record;
  const withSignatures = (self: Uint8Array, continuity = continuitySignature) =>
    create(KeySetSchema, { body, selfSignature: self, continuitySignature: continuity });
  const REFUSED = "self signature does not verify";

  it.each([
    ["nothing", new Uint8Array()],
    ["zeros", new Uint8Array(COMPOSITE_SIGNATURE_LENGTH)],
    ["one byte less", selfSignature.subarray(0, -1)],
    ["one byte more", concat(selfSignature, Uint8Array.of(0))],
    ["the continuity signature", continuitySignature],
    ["the halves swapped", concat(selfSignature.subarray(3309), selfSignature.subarray(0, 3309))],
    [
      "the previous set's, under this context",
      composite.sign(signingKey(first.seeds), body, SIGNATURE_CONTEXT.keySet),
    ],
    [
      "its own, under the context of rotation",
      composite.sign(signingKey(second.seeds), body, SIGNATURE_CONTEXT.keySetRotation),
    ],
    [
      "its own, under the context of shares",
      composite.sign(signingKey(second.seeds), body, SIGNATURE_CONTEXT.share),
    ],
    ["its own, under no context", composite.sign(signingKey(second.seeds), body, "")],
    [
      "its own, over the hash",
      composite.sign(signingKey(second.seeds), second.keySet.hash, SIGNATURE_CONTEXT.keySet),
    ],
    ["that of the first set", first.record.selfSignature],
  ])("has %s for a self signature", (_, self) => {
    expect(verifyMessage(withSignatures(self))).toBe(REFUSED);
  });

  it("has one half of another key", () => {
    const other = signed(body, firstKeySet("bob@example.org")).selfSignature;
    const [ml, ed] = [selfSignature.subarray(0, 3309), selfSignature.subarray(3309)];
    expect(verifyMessage(withSignatures(concat(other.subarray(0, 3309), ed)))).toBe(REFUSED);
    expect(verifyMessage(withSignatures(concat(ml, other.subarray(3309))))).toBe(REFUSED);
  });

  it("has any bit of its self signature flipped", () => {
    fc.assert(
      fc.property(fc.nat({ max: COMPOSITE_SIGNATURE_LENGTH * 8 - 1 }), (bit) => {
        expect(verifyMessage(withSignatures(flipped(selfSignature, bit)))).toBe(REFUSED);
      }),
    );
  });

  it("has any bit of its body flipped", () => {
    fc.assert(
      fc.property(fc.nat({ max: body.length * 8 - 1 }), (bit) => {
        const changed = create(KeySetSchema, { ...second.record, body: flipped(body, bit) });
        expect(refusal(() => verifyKeySet(changed)).reason).toBe("KEY_SET_INVALID");
      }),
    );
  });

  it("has a continuity signature although it is the first", () => {
    expect(verifyMessage(signed(first.keySet.body, first, first))).toBe(
      "number 1 has no previous set that could vouch for it",
    );
  });

  it.each([1, 64, COMPOSITE_SIGNATURE_LENGTH - 1, COMPOSITE_SIGNATURE_LENGTH + 1])(
    "has a continuity signature of %i bytes",
    (length) => {
      expect(verifyMessage(withSignatures(selfSignature, new Uint8Array(length)))).toBe(
        `continuity_signature is ${length} bytes, not 3373`,
      );
    },
  );

  it("is only seen to sign itself when its continuity signature is another's: that is for the chain to say", () => {
    expect(verifyKeySet(withSignatures(selfSignature, selfSignature)).number).toBe(2);
    expect(continues(first.keySet, second.keySet, selfSignature)).toBe(false);
  });
});

describe("a chain of key sets", () => {
  const chain: Owned[] = [first, second];
  beforeAll(() => {
    while (chain.length < 6) chain.push(nextKeySet(chain.at(-1) ?? first));
  });
  const joined = (a: Owned | undefined, b: Owned | undefined) =>
    a !== undefined && b !== undefined && continues(a.keySet, b.keySet, b.record.continuitySignature);

  it("continues from each set to the next, and from none to any other", () => {
    for (const [from, a] of chain.entries()) {
      verifyKeySet(a.record);
      for (const [to, b] of chain.entries()) expect(joined(a, b)).toBe(to === from + 1);
    }
  });

  it.each([
    ["another number", { number: 3 }],
    ["another address", { address: "bob@example.org" }],
    ["another hash", { previousHash: new Uint8Array(32).fill(1) }],
    ["the date of the one before", { createdAt: BigInt(START) }],
    ["an earlier date", { createdAt: BigInt(START - 1) }],
  ])("does not go on with a set of %s, although the one before signed it", (_, change) => {
    const body = bodyWith(second, change);
    const record = signed(body, second, first);
    const parsed = verifyKeySet(record);
    expect(follows(first.keySet, parsed)).toBe(false);
    expect(continues(first.keySet, parsed, record.continuitySignature)).toBe(false);
  });

  it("does not go on by a continuity signature that is nobody's, another's, or under another context", () => {
    const { body } = second.keySet;
    const other = firstKeySet("bob@example.org");
    for (const signature of [
      new Uint8Array(),
      new Uint8Array(COMPOSITE_SIGNATURE_LENGTH),
      second.record.selfSignature,
      signed(body, second, second).continuitySignature,
      signed(body, second, other).continuitySignature,
      composite.sign(signingKey(first.seeds), body, SIGNATURE_CONTEXT.keySet),
    ]) {
      expect(continues(first.keySet, second.keySet, signature)).toBe(false);
    }
  });

  it("does not go on by a continuity signature with any bit flipped", () => {
    fc.assert(
      fc.property(fc.nat({ max: COMPOSITE_SIGNATURE_LENGTH * 8 - 1 }), (bit) => {
        const signature = flipped(second.record.continuitySignature, bit);
        expect(continues(first.keySet, second.keySet, signature)).toBe(false);
      }),
    );
  });

  it("follows over a reset, which nothing vouches for, and goes on from there", () => {
    const reset = nextKeySet(second, { reset: true });
    expect(reset.record.continuitySignature).toHaveLength(0);
    expect(verifyKeySet(reset.record).number).toBe(3);
    expect(follows(second.keySet, reset.keySet)).toBe(true);
    expect(joined(second, reset)).toBe(false);
    expect(joined(reset, nextKeySet(reset))).toBe(true);
  });

  it("forks where two sets of one number continue the same one, which only a pin can tell", () => {
    const other = nextKeySet(first, { revokesPrevious: true });
    expect(joined(first, second)).toBe(true);
    expect(joined(first, other)).toBe(true);
    expect(other.keySet.hash).not.toEqual(second.keySet.hash);
    expect(joined(other, nextKeySet(second))).toBe(false);
  });
});

describe("the keys of a set", () => {
  it("are composed as the composite scheme has them: ML-DSA first", () => {
    const { seeds, keySet } = first;
    expect(composite.publicKey(signingKey(seeds))).toEqual(verifyingKey(keySet.publicKeys));
    expect(signingKey(seeds)).toEqual(concat(seeds.mlDsa65, seeds.ed25519));
  });
});

function input(createdAt: number): NewKeySet {
  return { address: ALICE, createdAt, seeds: seedsOf("built") };
}

function flipped(original: Uint8Array, bit: number): Uint8Array {
  return original.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}

/** The seven u-coordinates of small order on Curve25519, each with and without the top bit that RFC 7748 §5 masks. */
function lowOrderPoints(): string[] {
  const points = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p - 1
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1
  ];
  return points.flatMap((hex) => [
    hex,
    `${hex.slice(0, 62)}${(Number.parseInt(hex.slice(62), 16) | 0x80).toString(16)}`,
  ]);
}
