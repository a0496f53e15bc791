import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromBase64, randomBytes, utf8 } from "../../src/crypto/bytes.ts";
import {
  COMPOSITE_PUBLIC_KEY_LENGTH,
  COMPOSITE_SECRET_KEY_LENGTH,
  COMPOSITE_SIGNATURE_LENGTH,
  composite,
  compositeOf,
  type SignedItem,
} from "../../src/crypto/composite.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { flipped } from "./assertions.ts";
import { js, native, tiers } from "./tiers.ts";
import published from "./vectors/composite-sigs.json" with { type: "json" };

const [message, secretKey, publicKey, signature] = [
  published.message,
  published.secretKey,
  published.publicKey,
  published.signature,
].map(fromBase64) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

test("lengths are the draft's", () => {
  expect(COMPOSITE_SECRET_KEY_LENGTH).toBe(64);
  expect(COMPOSITE_PUBLIC_KEY_LENGTH).toBe(1984);
  expect(COMPOSITE_SIGNATURE_LENGTH).toBe(3373);
});

describe.each(tiers)("composite signatures on the %s tier", (_, tier) => {
  const own = compositeOf(tier);

  test("wrong lengths are refused: false from verify, an error elsewhere", () => {
    expect(() => own.publicKey(secretKey.subarray(1))).toThrow(CryptoError);
    expect(() => own.sign(secretKey.subarray(1), message, "")).toThrow(CryptoError);
    expect(() => own.sign(secretKey, message, "c".repeat(256))).toThrow(CryptoError);
    expect(() => own.sign(secretKey, message, "é".repeat(128))).toThrow(CryptoError);
    expect(own.verify(publicKey.subarray(1), message, signature, "")).toBe(false);
    expect(own.verify(publicKey, message, signature.subarray(1), "")).toBe(false);
    expect(own.verify(publicKey, message, concat(signature, Uint8Array.of(0)), "")).toBe(false);
    expect(own.verify(publicKey, message, signature, new Uint8Array(256))).toBe(false);
    expect(() => own.sign(secretKey, message, "\ud800")).toThrow(CryptoError);
    expect(own.verify(publicKey, message, signature, "\ud800")).toBe(false);
  });

  test("the draft's published vector verifies, and its public key follows from its private key", () => {
    expect(own.publicKey(secretKey)).toEqual(publicKey);
    expect(own.verify(publicKey, message, signature, "")).toBe(true);
    expect(own.verify(publicKey, message, signature, "other")).toBe(false);
    expect(own.verify(publicKey, concat(message, Uint8Array.of(0)), signature, "")).toBe(false);
  });

  test("a signature of whose halves only one holds is refused", () => {
    const other = own.sign(randomBytes(64), message, "test");
    const good = own.sign(secretKey, message, "test");
    expect(own.verify(publicKey, message, good, "test")).toBe(true);
    expect(own.verify(publicKey, message, concat(good.subarray(0, 3309), other.subarray(3309)), "test")).toBe(
      false,
    );
    expect(own.verify(publicKey, message, concat(other.subarray(0, 3309), good.subarray(3309)), "test")).toBe(
      false,
    );
  });

  test("a half made outside of the composite is refused", () => {
    const plain = concat(
      tier.mlDsa65.sign(secretKey.subarray(0, 32), message),
      tier.ed25519.sign(secretKey.subarray(32), message),
    );
    expect(own.verify(publicKey, message, plain, "")).toBe(false);
  });
});

test("each tier verifies the other's signatures, under the same context alone", () => {
  const contexts = fc.oneof(fc.string({ maxLength: 60 }), fc.uint8Array({ maxLength: 255, size: "max" }));
  fc.assert(
    fc.property(contexts, fc.uint8Array({ maxLength: 200 }), (context, text) => {
      for (const [signer, verifier] of [
        [native, js],
        [js, native],
      ] as const) {
        const sig = compositeOf(signer).sign(secretKey, text, context);
        expect(compositeOf(verifier).verify(publicKey, text, sig, context)).toBe(true);
        const bytes = typeof context === "string" ? utf8(context) : context;
        expect(compositeOf(verifier).verify(publicKey, text, sig, bytes)).toBe(true);
        if (bytes.length < 255) {
          const longer = concat(bytes, Uint8Array.of(0));
          expect(compositeOf(verifier).verify(publicKey, text, sig, longer)).toBe(false);
        }
      }
    }),
    { numRuns: 15 },
  );
}, 120_000);

test("any single bit flipped in key, message or signature makes it false", () => {
  const text = utf8("the text that was signed");
  const sig = composite.sign(secretKey, text, "test");
  expect(composite.verify(publicKey, text, sig, "test")).toBe(true);
  const bit = (b: Uint8Array) => fc.integer({ min: 0, max: 8 * b.length - 1 });
  fc.assert(
    fc.property(bit(publicKey), bit(text), bit(sig), (inKey, inText, inSignature) => {
      expect(composite.verify(flipped(publicKey, inKey), text, sig, "test")).toBe(false);
      expect(composite.verify(publicKey, flipped(text, inText), sig, "test")).toBe(false);
      expect(composite.verify(publicKey, text, flipped(sig, inSignature), "test")).toBe(false);
    }),
    { numRuns: 200 },
  );
}, 120_000);

test.each(tiers)(
  "on the %s tier, verifying many says of each what verifying it alone says",
  async (_, tier) => {
    const own = compositeOf(tier);
    const text = utf8("the text that was signed");
    const signature = composite.sign(secretKey, text, "test");
    const good: SignedItem = { publicKey, message: text, signature, context: "test" };
    const kinds: SignedItem[] = [
      good,
      { ...good, context: utf8("test") },
      { ...good, message: text.subarray(1) },
      { ...good, signature: flipped(signature, 5) },
      { ...good, signature: flipped(signature, 8 * 3309 + 5) },
      { ...good, signature: signature.subarray(1) },
      { ...good, publicKey: publicKey.subarray(1) },
      { ...good, publicKey: flipped(publicKey, 3) },
      { ...good, context: "other" },
      { ...good, context: "\ud800" },
      { ...good, context: new Uint8Array(256) },
    ];
    const expected = kinds.map((item) =>
      own.verify(item.publicKey, item.message, item.signature, item.context),
    );
    expect(expected).toEqual(kinds.map((_item, i) => i < 2));
    expect(await own.verifyMany([])).toEqual([]);
    expect(await own.verifyMany([good])).toEqual([true]);
    expect(await own.verifyMany([...kinds, ...kinds, ...kinds])).toEqual([
      ...expected,
      ...expected,
      ...expected,
    ]);
  },
  120_000,
);
