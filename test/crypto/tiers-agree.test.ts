import fc from "fast-check";
import { expect, test } from "vitest";
import { CryptoError } from "../../src/crypto/errors.ts";
import { flipped } from "./assertions.ts";
import { js, native, wasm } from "./tiers.ts";

const seed32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const seed64 = fc.uint8Array({ minLength: 64, maxLength: 64 });
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 });
const bytes = fc.uint8Array({ maxLength: 500, size: "max" });
const context = fc.uint8Array({ maxLength: 255, size: "max" });

const SLOW = 120_000;
const FEW = { numRuns: 15 };
const both = [
  [native, js],
  [js, native],
] as const;

test(
  "each tier's Ed25519 signatures are the other's, and neither accepts one with a bit flipped",
  () => {
    fc.assert(
      fc.property(seed32, bytes, fc.nat(), (seed, message, at) => {
        const publicKey = native.ed25519.publicKey(seed);
        expect(js.ed25519.publicKey(seed)).toEqual(publicKey);
        const signature = native.ed25519.sign(seed, message);
        expect(js.ed25519.sign(seed, message)).toEqual(signature);
        for (const tier of [native, js]) {
          expect(tier.ed25519.verify(publicKey, message, signature)).toBe(true);
          expect(tier.ed25519.verify(publicKey, message, flipped(signature, at))).toBe(false);
          expect(tier.ed25519.verify(flipped(publicKey, at), message, signature)).toBe(false);
        }
      }),
    );
  },
  SLOW,
);

test(
  "the tiers give the same verdict on Ed25519 keys and signatures of random bytes",
  () => {
    const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(seed32, bytes, signature, (publicKey, message, sig) => {
        expect(native.ed25519.verify(publicKey, message, sig)).toBe(
          js.ed25519.verify(publicKey, message, sig),
        );
      }),
    );
  },
  SLOW,
);

test(
  "the tiers agree on X25519, whatever the public key's bytes",
  () => {
    fc.assert(
      fc.property(seed32, seed32, (secret, publicKey) => {
        expect(native.x25519.publicKey(secret)).toEqual(js.x25519.publicKey(secret));
        const shared = native.x25519.sharedSecret(secret, publicKey);
        expect(js.x25519.sharedSecret(secret, publicKey)).toEqual(shared);
      }),
    );
  },
  SLOW,
);

test(
  "each tier verifies the other's hedged ML-DSA-65 signatures, under their context alone",
  () => {
    fc.assert(
      fc.property(seed32, bytes, context, fc.nat(), (seed, message, ctx, at) => {
        const publicKey = native.mlDsa65.publicKey(seed);
        expect(js.mlDsa65.publicKey(seed)).toEqual(publicKey);
        for (const [signer, verifier] of both) {
          const signature = signer.mlDsa65.sign(seed, message, ctx);
          expect(signer.mlDsa65.sign(seed, message, ctx)).not.toEqual(signature);
          expect(verifier.mlDsa65.verify(publicKey, message, signature, ctx)).toBe(true);
          expect(verifier.mlDsa65.verify(publicKey, message, flipped(signature, at), ctx)).toBe(false);
          const other = ctx.length === 0 ? Uint8Array.of(0) : flipped(ctx, at);
          expect(verifier.mlDsa65.verify(publicKey, message, signature, other)).toBe(false);
        }
      }),
      FEW,
    );
  },
  SLOW,
);

test("an ML-DSA-65 context that is not given is the empty one", () => {
  const seed = new Uint8Array(32);
  for (const [signer, verifier] of both) {
    const publicKey = signer.mlDsa65.publicKey(seed);
    const signature = signer.mlDsa65.sign(seed, seed);
    expect(verifier.mlDsa65.verify(publicKey, seed, signature, new Uint8Array(0))).toBe(true);
    expect(verifier.mlDsa65.verify(publicKey, seed, signer.mlDsa65.sign(seed, seed, new Uint8Array(0)))).toBe(
      true,
    );
  }
});

test(
  "each tier decapsulates what the other encapsulates, and they reject alike",
  () => {
    fc.assert(
      fc.property(seed64, fc.nat(), (seed, at) => {
        const publicKey = native.mlKem768.publicKey(seed);
        expect(js.mlKem768.publicKey(seed)).toEqual(publicKey);
        for (const [sender, recipient] of both) {
          const { ciphertext, sharedSecret } = sender.mlKem768.encapsulate(publicKey);
          expect(recipient.mlKem768.decapsulate(seed, ciphertext)).toEqual(sharedSecret);
          const rejected = recipient.mlKem768.decapsulate(seed, flipped(ciphertext, at));
          expect(rejected).not.toEqual(sharedSecret);
          expect(sender.mlKem768.decapsulate(seed, flipped(ciphertext, at))).toEqual(rejected);
        }
      }),
      FEW,
    );
  },
  SLOW,
);

test(
  "the tiers seal to the same bytes with AES-256-GCM, and neither opens them with a bit flipped anywhere",
  () => {
    fc.assert(
      fc.property(seed32, nonce, bytes, bytes, fc.nat(), (key, iv, plaintext, aad, at) => {
        const sealed = native.aes256Gcm.seal(key, iv, plaintext, aad);
        expect(js.aes256Gcm.seal(key, iv, plaintext, aad)).toEqual(sealed);
        for (const { aes256Gcm } of [native, js]) {
          expect(aes256Gcm.open(key, iv, sealed, aad)).toEqual(plaintext);
          expect(() => aes256Gcm.open(key, iv, flipped(sealed, at), aad)).toThrow(CryptoError);
          expect(() => aes256Gcm.open(flipped(key, at), iv, sealed, aad)).toThrow(CryptoError);
          expect(() => aes256Gcm.open(key, flipped(iv, at), sealed, aad)).toThrow(CryptoError);
          if (aad.length > 0)
            expect(() => aes256Gcm.open(key, iv, sealed, flipped(aad, at))).toThrow(CryptoError);
        }
      }),
    );
  },
  SLOW,
);

test("the tiers hash and derive to the same bytes", () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, fc.integer({ min: 1, max: 300 }), (a, b, c, length) => {
      for (const tier of [native, wasm]) {
        expect(tier.sha256(a)).toEqual(js.sha256(a));
        expect(tier.sha512(a)).toEqual(js.sha512(a));
        expect(tier.hkdfSha256(a, b, c, length)).toEqual(js.hkdfSha256(a, b, c, length));
      }
    }),
  );
});

test(
  "the tiers agree on Argon2id",
  async () => {
    const cost = fc.record({
      memoryKiB: fc.integer({ min: 32, max: 128 }),
      passes: fc.integer({ min: 1, max: 3 }),
      lanes: fc.integer({ min: 1, max: 4 }),
    });
    const salt = fc.uint8Array({ minLength: 8, maxLength: 32 });
    await fc.assert(
      fc.asyncProperty(
        bytes,
        salt,
        cost,
        fc.integer({ min: 4, max: 64 }),
        async (password, s, parameters, length) => {
          const expected = await js.argon2id(password, s, parameters, length);
          expect(await native.argon2id(password, s, parameters, length)).toEqual(expected);
          expect(await wasm.argon2id(password, s, parameters, length)).toEqual(expected);
        },
      ),
      FEW,
    );
  },
  SLOW,
);

test("results are plain byte arrays, and inputs may be views into larger buffers", () => {
  const page = Buffer.alloc(4096, 5);
  const seed = page.subarray(7, 39);
  const copy = new Uint8Array(seed);
  for (const tier of [native, js]) {
    const results = [
      tier.ed25519.publicKey(seed),
      tier.ed25519.sign(seed, page),
      tier.x25519.publicKey(seed),
      tier.x25519.sharedSecret(seed, tier.x25519.publicKey(seed)),
      tier.mlDsa65.publicKey(seed),
      tier.mlDsa65.sign(seed, page),
      tier.mlKem768.publicKey(page.subarray(3, 67)),
      tier.aes256Gcm.seal(seed, page.subarray(1, 13), page, page),
      tier.blake3.hash(page),
      tier.blake3.keyed(seed, page),
      tier.blake3.deriveKey("test", page),
      tier.sha256(page),
      tier.sha512(page),
      tier.hkdfSha256(seed, seed, seed, 32),
    ];
    for (const result of results) expect(result.constructor).toBe(Uint8Array);
    expect(tier.ed25519.publicKey(copy)).toEqual(results[0]);
    expect(tier.mlDsa65.publicKey(copy)).toEqual(results[4]);
  }
});
