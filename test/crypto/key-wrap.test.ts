import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, lp, randomBytes, u32 } from "../../src/crypto/bytes.ts";
import { generateContentKey } from "../../src/crypto/content.ts";
import { unwrapContentKey, wrapContentKey } from "../../src/crypto/key-wrap.ts";
import { flipped, reasonOf } from "./assertions.ts";
import { js } from "./tiers.ts";

const seeds = { x25519: randomBytes(32), mlKem768: randomBytes(64) };
const publicKeys = {
  x25519: js.x25519.publicKey(seeds.x25519),
  mlKem768: js.mlKem768.publicKey(seeds.mlKem768),
};
const context = {
  sender: "alice@acme.test",
  senderKeyNumber: 1,
  wrapAddress: "bob@partner.test",
  wrapKeyNumber: 2,
};
const contentKey = generateContentKey();

test("bad recipient keys and lengths are refused before anything is wrapped", () => {
  const low = { ...publicKeys, x25519: new Uint8Array(32) };
  expect(reasonOf(() => wrapContentKey(contentKey, low, context))).toBe("invalid-key");
  const outOfRange = { ...publicKeys, mlKem768: new Uint8Array(1184).fill(0xff) };
  expect(reasonOf(() => wrapContentKey(contentKey, outOfRange, context))).toBe("invalid-key");
  expect(reasonOf(() => wrapContentKey(contentKey.subarray(1), publicKeys, context))).toBe("wrong-length");
  const short = { ...publicKeys, x25519: new Uint8Array(31) };
  expect(reasonOf(() => wrapContentKey(contentKey, short, context))).toBe("wrong-length");
});

test("a wrap opens with its own seeds in its own context, and with nothing changed", () => {
  fc.assert(
    fc.property(fc.nat(), (at) => {
      const wrap = wrapContentKey(contentKey, publicKeys, context);
      expect([wrap.x25519Ephemeral, wrap.mlKemCiphertext, wrap.wrappedKey].map((b) => b.length)).toEqual([
        32, 1088, 48,
      ]);
      expect(unwrapContentKey(wrap, seeds, context)).toEqual(contentKey);
      for (const call of [
        () =>
          unwrapContentKey({ ...wrap, x25519Ephemeral: flipped(wrap.x25519Ephemeral, at) }, seeds, context),
        () =>
          unwrapContentKey({ ...wrap, mlKemCiphertext: flipped(wrap.mlKemCiphertext, at) }, seeds, context),
        () => unwrapContentKey({ ...wrap, wrappedKey: flipped(wrap.wrappedKey, at) }, seeds, context),
        () => unwrapContentKey({ ...wrap, x25519Ephemeral: new Uint8Array(32) }, seeds, context),
        () => unwrapContentKey(wrap, { ...seeds, x25519: randomBytes(32) }, context),
        () => unwrapContentKey(wrap, { ...seeds, mlKem768: randomBytes(64) }, context),
        () => unwrapContentKey(wrap, seeds, { ...context, sender: "mallory@acme.test" }),
        () => unwrapContentKey(wrap, seeds, { ...context, senderKeyNumber: 2 }),
        () => unwrapContentKey(wrap, seeds, { ...context, wrapAddress: "alice@acme.test" }),
        () => unwrapContentKey(wrap, seeds, { ...context, wrapKeyNumber: 1 }),
      ]) {
        expect(reasonOf(call)).toBe("decryption-failed");
      }
    }),
    { numRuns: 30 },
  );
});

test("wraps of the wrong length are refused as such", () => {
  const wrap = wrapContentKey(contentKey, publicKeys, context);
  for (const bad of [
    { ...wrap, wrappedKey: wrap.wrappedKey.subarray(1) },
    { ...wrap, mlKemCiphertext: wrap.mlKemCiphertext.subarray(1) },
    { ...wrap, x25519Ephemeral: wrap.x25519Ephemeral.subarray(1) },
  ]) {
    expect(reasonOf(() => unwrapContentKey(bad, seeds, context))).toBe("wrong-length");
  }
});

test("two wraps of one key share no bytes to compare them by", () => {
  const [a, b] = [1, 2].map(() => wrapContentKey(contentKey, publicKeys, context));
  expect(a?.x25519Ephemeral).not.toEqual(b?.x25519Ephemeral);
  expect(a?.mlKemCiphertext).not.toEqual(b?.mlKemCiphertext);
  expect(a?.wrappedKey).not.toEqual(b?.wrappedKey);
});

test("the bytes are those of the protocol, written out a second time", () => {
  const wrap = wrapContentKey(contentKey, publicKeys, context);
  const ikm = concat(
    js.x25519.sharedSecret(seeds.x25519, wrap.x25519Ephemeral),
    js.mlKem768.decapsulate(seeds.mlKem768, wrap.mlKemCiphertext),
  );
  const info = concat(
    lp("keypears/v1/key-wrap"),
    lp("alice@acme.test"),
    u32(1),
    lp("bob@partner.test"),
    u32(2),
    wrap.x25519Ephemeral,
    publicKeys.x25519,
    js.sha256(wrap.mlKemCiphertext),
    js.sha256(publicKeys.mlKem768),
  );
  const kek = js.hkdfSha256(ikm, new Uint8Array(32), info, 32);
  expect(js.aes256Gcm.open(kek, new Uint8Array(12), wrap.wrappedKey)).toEqual(contentKey);
});

test("the longest addresses fit", () => {
  const longest = `${"a".repeat(64)}@${"b".repeat(255)}`;
  const at = { ...context, sender: longest, wrapAddress: longest };
  expect(unwrapContentKey(wrapContentKey(contentKey, publicKeys, at), seeds, at)).toEqual(contentKey);
});
