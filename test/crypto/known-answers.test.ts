import { describe, expect, test } from "vitest";
import { fromHex, toHex, utf8 } from "../../src/crypto/bytes.ts";
import type { Blake3 } from "../../src/crypto/primitives.ts";
import { passesSelfTest, passesSelfTests } from "../../src/crypto/self-test.ts";
import { flipped } from "./assertions.ts";
import { hashTiers, js, native, tiers } from "./tiers.ts";

const hex = (text: string) => fromHex(text.replaceAll(" ", ""));

describe.each(tiers)("the %s tier", (_, tier) => {
  // RFC 8032 §7.1, tests 1 and 2.
  test.each([
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155 5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
  ])("signs with Ed25519 as RFC 8032 does", (seed, publicKey, message, signature) => {
    expect(toHex(tier.ed25519.publicKey(hex(seed)))).toBe(publicKey);
    expect(tier.ed25519.sign(hex(seed), hex(message))).toEqual(hex(signature));
    expect(tier.ed25519.verify(hex(publicKey), hex(message), hex(signature))).toBe(true);
    expect(tier.ed25519.verify(hex(publicKey), hex(`${message}00`), hex(signature))).toBe(false);
  });

  // RFC 7748 §6.1.
  test("agrees on an X25519 secret as RFC 7748 does", () => {
    const alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    const alicePublic = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    const bobPublic = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    expect(toHex(tier.x25519.publicKey(alice))).toBe(alicePublic);
    expect(toHex(tier.x25519.publicKey(bob))).toBe(bobPublic);
    expect(toHex(tier.x25519.sharedSecret(alice, hex(bobPublic)))).toBe(shared);
    expect(toHex(tier.x25519.sharedSecret(bob, hex(alicePublic)))).toBe(shared);
  });

  // The GCM specification (McGrew and Viega), test cases 13 and 14.
  test("seals with AES-256-GCM as its specification does", () => {
    const zeros = (length: number) => new Uint8Array(length);
    expect(toHex(tier.aes256Gcm.seal(zeros(32), zeros(12), zeros(0)))).toBe(
      "530f8afbc74536b9a963b4f1c4cb738b",
    );
    const sealed = tier.aes256Gcm.seal(zeros(32), zeros(12), zeros(16));
    expect(toHex(sealed)).toBe("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    expect(tier.aes256Gcm.open(zeros(32), zeros(12), sealed)).toEqual(zeros(16));
  });
});

describe.each(hashTiers)("the %s tier", (_, tier) => {
  test("passes its self-tests", () => {
    expect(passesSelfTests(tier)).toBe(true);
  });

  // RFC 5869 §A.1.
  test("derives with HKDF-SHA-256 as RFC 5869 does", () => {
    const okm = tier.hkdfSha256(
      new Uint8Array(22).fill(0x0b),
      hex("000102030405060708090a0b0c"),
      hex("f0f1f2f3f4f5f6f7f8f9"),
      42,
    );
    expect(okm).toEqual(
      hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    );
  });

  // FIPS 180-4's example message.
  test("hashes with SHA-2 as FIPS 180-4 does", () => {
    expect(toHex(tier.sha256(utf8("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    expect(tier.sha512(utf8("abc"))).toEqual(
      hex(
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      ),
    );
  });

  test("hashes nothing with BLAKE3 as its reference does", () => {
    expect(toHex(tier.blake3.hash(new Uint8Array(0)))).toBe(
      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    );
  });

  // The test suite of Argon2's reference implementation, version 0x13.
  test.each([
    [1, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"],
    [2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"],
  ])("hashes with Argon2id on %d lanes as the reference does", async (lanes, expected) => {
    const cost = { memoryKiB: 256, passes: 2, lanes };
    expect(toHex(await tier.argon2id(utf8("password"), utf8("somesalt"), cost, 32))).toBe(expected);
  });
});

test("the native tier hashes with 64 MiB of Argon2id as the reference does", async () => {
  const cost = { memoryKiB: 65_536, passes: 2, lanes: 1 };
  expect(toHex(await native.argon2id(utf8("password"), utf8("somesalt"), cost, 32))).toBe(
    "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7",
  );
}, 60_000);

test("an implementation that computes something wrong, or lacks it, fails its self-test", () => {
  const wrong = { ...js.x25519, publicKey: (secret: Uint8Array) => secret.slice() };
  expect(passesSelfTest("x25519", wrong)).toBe(false);
  const missing = {
    ...js.mlKem768,
    decapsulate: () => {
      throw new Error("unsupported");
    },
  };
  expect(passesSelfTest("mlKem768", missing)).toBe(false);
  expect(passesSelfTests({ ...js, x25519: wrong })).toBe(false);
  expect(passesSelfTests({ ...js, mlKem768: missing })).toBe(false);
});

test("a BLAKE3 with one bit wrong in any of its modes fails its self-test", () => {
  const { hash, keyed, deriveKey, hasher } = js.blake3;
  const wrong: Partial<Blake3>[] = [
    { hash: (...input) => flipped(hash(...input), 0) },
    { keyed: (...input) => flipped(keyed(...input), 0) },
    { deriveKey: (...input) => flipped(deriveKey(...input), 0) },
    { hasher: () => hasher().update(Uint8Array.of(0)) },
  ];
  for (const mode of wrong) expect(passesSelfTest("blake3", { ...js.blake3, ...mode })).toBe(false);
});
