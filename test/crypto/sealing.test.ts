import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ACCOUNT_KEY_LENGTH,
  generateAccountKey,
  openContacts,
  openSeed,
  SEED_LENGTH,
  type SeedAlgorithm,
  sealContacts,
  sealSeed,
  unwrapAccountKey,
  WRAPPED_ACCOUNT_KEY_LENGTH,
  wrapAccountKey,
} from "../../src/crypto/account-key.ts";
import { concat, lp, randomBytes, u32, utf8 } from "../../src/crypto/bytes.ts";
import {
  contentKeyCommitment,
  generateContentKey,
  matchesContentKeyCommitment,
  openContent,
  sealContent,
} from "../../src/crypto/content.ts";
import { openBox, SEALED_BOX_OVERHEAD, sealBox } from "../../src/crypto/sealed-box.ts";
import { flipped, reasonOf } from "./assertions.ts";
import { js } from "./tiers.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
const key = randomBytes(32);

describe("sealed boxes", () => {
  test("a box that is altered, cut, of other data or under another key does not open", () => {
    fc.assert(
      fc.property(bytes, bytes, fc.nat(), (plaintext, aad, at) => {
        const box = sealBox(key, plaintext, aad);
        expect(box.length).toBe(plaintext.length + SEALED_BOX_OVERHEAD);
        expect(openBox(key, box, aad)).toEqual(plaintext);
        expect(reasonOf(() => openBox(key, flipped(box, at), aad))).toBe("decryption-failed");
        expect(reasonOf(() => openBox(key, box.subarray(0, at % box.length), aad))).toBe("decryption-failed");
        expect(reasonOf(() => openBox(key, box, concat(aad, Uint8Array.of(0))))).toBe("decryption-failed");
        expect(reasonOf(() => openBox(flipped(key, at), box, aad))).toBe("decryption-failed");
      }),
    );
  });

  test("the same thing sealed twice looks different", () => {
    expect(sealBox(key, utf8("text"), utf8("aad"))).not.toEqual(sealBox(key, utf8("text"), utf8("aad")));
  });
});

describe("content", () => {
  const nonce = randomBytes(12);
  const header = utf8("header");

  test("altered ciphertext, header, nonce or key is refused with one reason", () => {
    const contentKey = generateContentKey();
    fc.assert(
      fc.property(bytes, fc.nat(), (payload, at) => {
        const sealed = sealContent(contentKey, nonce, payload, header);
        expect(sealed.length).toBe(512 + 16);
        expect(openContent(contentKey, nonce, sealed, header)).toEqual(payload);
        for (const call of [
          () => openContent(contentKey, nonce, flipped(sealed, at), header),
          () => openContent(contentKey, nonce, sealed, flipped(header, at)),
          () => openContent(contentKey, flipped(nonce, at), sealed, header),
          () => openContent(flipped(contentKey, at), nonce, sealed, header),
        ]) {
          expect(reasonOf(call)).toBe("decryption-failed");
        }
      }),
    );
  });

  test("content that authenticates but is not padded is refused with the same reason", () => {
    const contentKey = generateContentKey();
    const unpadded = js.aes256Gcm.seal(contentKey, nonce, new Uint8Array(512), header);
    expect(reasonOf(() => openContent(contentKey, nonce, unpadded, header))).toBe("decryption-failed");
  });

  test("a commitment is to one content key, and is the derivation that the protocol names", () => {
    const contentKey = generateContentKey();
    const commitment = contentKeyCommitment(contentKey);
    expect(commitment).toEqual(js.blake3.deriveKey("keypears v1 content key commitment", contentKey));
    expect(matchesContentKeyCommitment(contentKey, commitment)).toBe(true);
    expect(matchesContentKeyCommitment(generateContentKey(), commitment)).toBe(false);
    expect(matchesContentKeyCommitment(contentKey, commitment.subarray(1))).toBe(false);
  });
});

describe("the account key", () => {
  const accountKey = generateAccountKey();
  const slot = { address: "alice@acme.test", kind: "password", number: 1 } as const;

  test("a wrap opens in its own slot with its own wrapping key, and nowhere else", () => {
    const wrapped = wrapAccountKey(key, accountKey, slot);
    expect(wrapped.length).toBe(WRAPPED_ACCOUNT_KEY_LENGTH);
    expect(unwrapAccountKey(key, wrapped, slot)).toEqual(accountKey);
    for (const other of [
      { ...slot, address: "bob@acme.test" },
      { ...slot, kind: "recovery" as const },
      { ...slot, number: 2 },
    ]) {
      expect(reasonOf(() => unwrapAccountKey(key, wrapped, other))).toBe("decryption-failed");
    }
    expect(reasonOf(() => unwrapAccountKey(randomBytes(32), wrapped, slot))).toBe("decryption-failed");
  });

  test("keys and wraps of the wrong length are refused", () => {
    expect(reasonOf(() => wrapAccountKey(key, new Uint8Array(31), slot))).toBe("wrong-length");
    expect(reasonOf(() => wrapAccountKey(new Uint8Array(16), accountKey, slot))).toBe("wrong-length");
    expect(reasonOf(() => unwrapAccountKey(key, new Uint8Array(59), slot))).toBe("wrong-length");
  });

  test("the bytes are those of the protocol", () => {
    const aad = concat(lp("keypears/v1/account-key"), lp(slot.address), lp("password"), u32(1));
    const wrapped = wrapAccountKey(key, accountKey, slot);
    expect(js.aes256Gcm.open(key, wrapped.subarray(0, 12), wrapped.subarray(12), aad)).toEqual(accountKey);
  });
});

describe("seeds and contacts under the account key", () => {
  const accountKey = randomBytes(ACCOUNT_KEY_LENGTH);
  const algorithms = Object.keys(SEED_LENGTH) as SeedAlgorithm[];

  test.each(algorithms)("a sealed %s seed opens in its own slot alone", (algorithm) => {
    const slot = { algorithm, address: "alice@acme.test", number: 3 };
    const seed = randomBytes(SEED_LENGTH[algorithm]);
    const sealed = sealSeed(accountKey, seed, slot);
    expect(openSeed(accountKey, sealed, slot)).toEqual(seed);
    expect(reasonOf(() => openSeed(accountKey, sealed, { ...slot, number: 4 }))).toBe("decryption-failed");
    expect(reasonOf(() => openSeed(accountKey, sealed, { ...slot, address: "a@acme.test" }))).toBe(
      "decryption-failed",
    );
    expect(reasonOf(() => openSeed(randomBytes(32), sealed, slot))).toBe("decryption-failed");
    expect(reasonOf(() => openSeed(accountKey, flipped(sealed, sealed[0] as number), slot))).toBe(
      "decryption-failed",
    );
    expect(reasonOf(() => sealSeed(accountKey, seed.subarray(1), slot))).toBe("wrong-length");
    expect(reasonOf(() => openSeed(accountKey, sealed.subarray(1), slot))).toBe("wrong-length");
    expect(reasonOf(() => sealSeed(accountKey.subarray(1), seed, slot))).toBe("wrong-length");
    const subkey = js.blake3.deriveKey("keypears v1 private keys", accountKey);
    const aad = concat(lp("keypears/v1/private-key"), lp(algorithm), lp(slot.address), u32(3));
    expect(js.aes256Gcm.open(subkey, sealed.subarray(0, 12), sealed.subarray(12), aad)).toEqual(seed);
  });

  test("a seed does not open as one of another algorithm", () => {
    const slot = { algorithm: "ed25519", address: "alice@acme.test", number: 1 } as const;
    const sealed = sealSeed(accountKey, randomBytes(32), slot);
    expect(reasonOf(() => openSeed(accountKey, sealed, { ...slot, algorithm: "x25519" }))).toBe(
      "decryption-failed",
    );
  });

  test("sealed contacts open for their own address alone", () => {
    const sealed = sealContacts(accountKey, utf8("pins"), "alice@acme.test");
    expect(openContacts(accountKey, sealed, "alice@acme.test")).toEqual(utf8("pins"));
    expect(reasonOf(() => openContacts(accountKey, sealed, "bob@acme.test"))).toBe("decryption-failed");
    expect(reasonOf(() => openContacts(randomBytes(32), sealed, "alice@acme.test"))).toBe(
      "decryption-failed",
    );
  });
});
