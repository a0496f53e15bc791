import { describe, expect, test } from "vitest";
import { CryptoError } from "../../src/crypto/errors.ts";
import { isMlKem768PublicKey, isX25519PublicKey } from "../../src/crypto/public-keys.ts";
import { reasonOf } from "./assertions.ts";
import { hashTiers, tiers } from "./tiers.ts";

const n = (length: number) => new Uint8Array(length);
const COST = { memoryKiB: 8, passes: 1, lanes: 1 };

describe.each(tiers)("the %s tier", (_, tier) => {
  const { ed25519, x25519, mlDsa65, mlKem768, aes256Gcm } = tier;

  test.each<[string, () => unknown]>([
    ["an ed25519 seed to derive from", () => ed25519.publicKey(n(31))],
    ["an ed25519 seed to sign with", () => ed25519.sign(n(33), n(1))],
    ["an x25519 secret", () => x25519.publicKey(n(31))],
    ["an x25519 secret to agree with", () => x25519.sharedSecret(n(0), n(32))],
    ["an x25519 public key", () => x25519.sharedSecret(n(32), n(33))],
    ["an ml-dsa-65 seed", () => mlDsa65.publicKey(n(4032))],
    ["an ml-dsa-65 seed to sign with", () => mlDsa65.sign(n(64), n(1))],
    ["an ml-dsa-65 context", () => mlDsa65.sign(n(32), n(1), n(256))],
    ["an ml-kem-768 seed", () => mlKem768.publicKey(n(32))],
    ["an ml-kem-768 public key", () => mlKem768.encapsulate(n(1183))],
    ["an ml-kem-768 seed to decapsulate with", () => mlKem768.decapsulate(n(2400), n(1088))],
    ["an ml-kem-768 ciphertext", () => mlKem768.decapsulate(n(64), n(1087))],
    ["an aes-256-gcm key", () => aes256Gcm.seal(n(16), n(12), n(1))],
    ["an aes-256-gcm nonce", () => aes256Gcm.seal(n(32), n(16), n(1))],
    ["an aes-256-gcm key to open with", () => aes256Gcm.open(n(31), n(12), n(16))],
    ["an aes-256-gcm nonce to open with", () => aes256Gcm.open(n(32), n(11), n(16))],
    ["sealed bytes shorter than a tag", () => aes256Gcm.open(n(32), n(12), n(15))],
  ])("refuses %s of the wrong length", (_name, call) => {
    expect(reasonOf(call)).toBe("wrong-length");
  });

  test("answers false, and never throws, for keys and signatures that cannot be any", () => {
    const signature = ed25519.sign(n(32), n(1));
    const publicKey = ed25519.publicKey(n(32));
    expect(ed25519.verify(publicKey, n(1), signature)).toBe(true);
    expect(ed25519.verify(n(31), n(1), signature)).toBe(false);
    expect(ed25519.verify(n(33), n(1), signature)).toBe(false);
    expect(ed25519.verify(publicKey, n(1), signature.subarray(1))).toBe(false);
    expect(ed25519.verify(publicKey, n(1), n(0))).toBe(false);
    expect(mlDsa65.verify(n(1951), n(1), n(3309))).toBe(false);
    expect(mlDsa65.verify(n(1952), n(1), n(3308))).toBe(false);
    expect(mlDsa65.verify(n(1952), n(1), n(3309))).toBe(false);
    expect(mlDsa65.verify(n(1952), n(1), n(3309), n(256))).toBe(false);
  });

  test("refuses an encapsulation key with a coefficient of q or more, wherever it stands", () => {
    const publicKey = mlKem768.publicKey(n(64));
    for (const [at, ...coefficient] of [
      [0, 0x01, 0x0d],
      [1, 0x10, 0xd0],
      [1150, 0xf0, 0xff],
    ] as const) {
      const bad = publicKey.slice();
      bad.set(coefficient, at);
      expect(isMlKem768PublicKey(bad)).toBe(false);
      expect(reasonOf(() => mlKem768.encapsulate(bad))).toBe("invalid-key");
    }
    const greatest = publicKey.slice();
    greatest.set([0x00, 0x0d], 0); // q − 1 = 3328, in 12 bits, low byte first
    greatest[1] = 0x0d | ((publicKey[1] as number) & 0xf0);
    expect(isMlKem768PublicKey(greatest)).toBe(true);
    expect(mlKem768.encapsulate(greatest).ciphertext.length).toBe(1088);
  });

  test("gives a pseudorandom secret, not an error, for a ciphertext made for another key", () => {
    const seed = n(64).fill(7);
    const { ciphertext, sharedSecret } = mlKem768.encapsulate(mlKem768.publicKey(n(64)));
    const rejected = mlKem768.decapsulate(seed, ciphertext);
    expect(rejected.length).toBe(32);
    expect(rejected).not.toEqual(sharedSecret);
    expect(mlKem768.decapsulate(seed, ciphertext)).toEqual(rejected);
  });
});

describe.each(hashTiers)("the %s tier", (_, tier) => {
  const { blake3 } = tier;

  test("refuses a blake3 key of the wrong length", () => {
    expect(reasonOf(() => blake3.keyed(n(31), n(1)))).toBe("wrong-length");
    expect(reasonOf(() => blake3.keyed(n(33), n(1)))).toBe("wrong-length");
  });

  test.each([0, -1, 0.5, 1025, Number.NaN])("refuses a blake3 output of %d bytes", (length) => {
    expect(reasonOf(() => blake3.hash(n(1), length))).toBe("out-of-range");
    expect(reasonOf(() => blake3.keyed(n(32), n(1), length))).toBe("out-of-range");
    expect(reasonOf(() => blake3.deriveKey("test", n(1), length))).toBe("out-of-range");
    expect(reasonOf(() => blake3.hasher().digest(length))).toBe("out-of-range");
  });

  test("refuses an HKDF output longer than the standard allows, and info longer than Node takes", () => {
    expect(reasonOf(() => tier.hkdfSha256(n(1), n(1), n(1), 0))).toBe("out-of-range");
    expect(reasonOf(() => tier.hkdfSha256(n(1), n(1), n(1), 8161))).toBe("out-of-range");
    expect(reasonOf(() => tier.hkdfSha256(n(1), n(1), n(1025), 32))).toBe("out-of-range");
  });

  test.each([
    ["no passes", n(16), { ...COST, passes: 0 }, 32],
    ["no lanes", n(16), { ...COST, lanes: 0 }, 32],
    ["less memory than its lanes need", n(16), { ...COST, lanes: 2 }, 32],
    ["a fraction of memory", n(16), { ...COST, memoryKiB: 8.5 }, 32],
    ["an output that is too short", n(16), COST, 3],
    ["a salt that is too short", n(7), COST, 32],
  ])("refuses Argon2id with %s", async (_name, salt, cost, length) => {
    await expect(tier.argon2id(n(1), salt, cost, length)).rejects.toBeInstanceOf(CryptoError);
  });

  test("refuses to go on with a hasher that has given its digest", () => {
    const hasher = blake3.hasher().update(n(3));
    hasher.digest();
    expect(reasonOf(() => hasher.update(n(1)))).toBe("out-of-range");
    expect(reasonOf(() => hasher.digest())).toBe("out-of-range");
  });
});

describe("public keys to be published", () => {
  test("points of small order, other spellings of them and wrong lengths are no X25519 keys", () => {
    const zero = n(32);
    const one = n(32);
    one[0] = 1;
    const p = n(32).fill(0xff);
    p[0] = 0xed;
    p[31] = 0x7f;
    const pWithHighBit = p.slice();
    pWithHighBit[31] = 0xff;
    for (const key of [zero, one, p, pWithHighBit, n(31), n(33)]) expect(isX25519PublicKey(key)).toBe(false);
    const base = n(32);
    base[0] = 9;
    expect(isX25519PublicKey(base)).toBe(true);
  });
});
