import { describe, expect, test } from "vitest";
import { concat, fromHex } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { describeVectors, type Wycheproof } from "./shared-vectors.ts";
import { hashTiers, tiers } from "./tiers.ts";

const SLOW = 120_000;

function attempt(call: () => Uint8Array): Uint8Array | null {
  try {
    return call();
  } catch (error) {
    if (error instanceof CryptoError) return null;
    throw error;
  }
}

describe.each(tiers)("the %s tier and Wycheproof", (_, tier) => {
  describeVectors<
    Wycheproof<
      { ivSize: number; keySize: number; tagSize: number },
      { key: string; iv: string; aad: string; msg: string; ct: string; tag: string }
    >
  >("wycheproof_aes_gcm_test.json", ({ testGroups }) => {
    const groups = testGroups.filter((g) => g.keySize === 256 && g.ivSize === 96 && g.tagSize === 128);

    test("AES-256-GCM seals and opens what is valid, and refuses the rest", () => {
      let cases = 0;
      for (const t of groups.flatMap((g) => g.tests)) {
        const [key, iv, aad, msg] = [t.key, t.iv, t.aad, t.msg].map(fromHex) as [
          Uint8Array,
          Uint8Array,
          Uint8Array,
          Uint8Array,
        ];
        const sealed = concat(fromHex(t.ct), fromHex(t.tag));
        const opened = attempt(() => tier.aes256Gcm.open(key, iv, sealed, aad));
        if (t.result === "valid") {
          expect(tier.aes256Gcm.seal(key, iv, msg, aad), `case ${t.tcId}`).toEqual(sealed);
          expect(opened, `case ${t.tcId}`).toEqual(msg);
        } else {
          expect(opened, `case ${t.tcId}`).toBeNull();
        }
        cases++;
      }
      expect(cases).toBeGreaterThan(60);
    });
  });

  describeVectors<Wycheproof<{ publicKey: { pk: string } }, { msg: string; sig: string }>>(
    "wycheproof_ed25519_test.json",
    ({ testGroups }) => {
      test(
        "Ed25519 verifies what is valid, and nothing else",
        () => {
          for (const group of testGroups) {
            const publicKey = fromHex(group.publicKey.pk);
            for (const t of group.tests) {
              const verdict = tier.ed25519.verify(publicKey, fromHex(t.msg), fromHex(t.sig));
              expect(verdict, `case ${t.tcId}`).toBe(t.result === "valid");
            }
          }
        },
        SLOW,
      );
    },
  );

  describeVectors<
    Wycheproof<{ privateSeed: string; publicKey?: string }, { msg?: string; sig?: string; ctx?: string }>
  >("wycheproof_mldsa_65_sign_seed_test.json", ({ testGroups }) => {
    test(
      "ML-DSA-65 derives the public key of a seed, and signatures by it verify",
      () => {
        for (const group of testGroups) {
          const seed = fromHex(group.privateSeed);
          for (const t of group.tests) {
            if (t.msg === undefined) continue; // a case for the internal function, which has no message
            const message = fromHex(t.msg);
            const context = fromHex(t.ctx ?? "");
            const signature = attempt(() => tier.mlDsa65.sign(seed, message, context));
            if (t.result !== "valid") {
              expect(signature, `case ${t.tcId}`).toBeNull();
              continue;
            }
            const publicKey = tier.mlDsa65.publicKey(seed);
            expect(publicKey, `case ${t.tcId}`).toEqual(fromHex(group.publicKey as string));
            const verifies = (sig: Uint8Array) => tier.mlDsa65.verify(publicKey, message, sig, context);
            expect(verifies(fromHex(t.sig as string)), `case ${t.tcId}`).toBe(true);
            expect(verifies(signature as Uint8Array), `case ${t.tcId}`).toBe(true);
          }
        }
      },
      SLOW,
    );
  });

  describeVectors<Wycheproof<{ publicKey: string }, { msg: string; sig: string; ctx?: string }>>(
    "wycheproof_mldsa_65_verify_test.json",
    ({ testGroups }) => {
      test(
        "ML-DSA-65 verifies what is valid, and nothing else",
        () => {
          for (const group of testGroups) {
            const publicKey = fromHex(group.publicKey);
            for (const t of group.tests) {
              const [message, signature, context] = [t.msg, t.sig, t.ctx ?? ""].map(fromHex) as [
                Uint8Array,
                Uint8Array,
                Uint8Array,
              ];
              const verdict = tier.mlDsa65.verify(publicKey, message, signature, context);
              expect(verdict, `case ${t.tcId}`).toBe(t.result === "valid");
            }
          }
        },
        SLOW,
      );
    },
  );

  describeVectors<Wycheproof<object, { seed: string; ek: string }>>(
    "wycheproof_mlkem_768_keygen_seed_test.json",
    ({ testGroups }) => {
      test("ML-KEM-768 derives the encapsulation key of a seed", () => {
        for (const t of testGroups.flatMap((g) => g.tests)) {
          expect(tier.mlKem768.publicKey(fromHex(t.seed)), `case ${t.tcId}`).toEqual(fromHex(t.ek));
        }
      });
    },
  );

  describeVectors<Wycheproof<object, { seed: string; ek?: string; c: string; K: string }>>(
    "wycheproof_mlkem_768_test.json",
    ({ testGroups }) => {
      test("ML-KEM-768 decapsulates to the expected secret, and refuses what has a wrong length", () => {
        for (const t of testGroups.flatMap((g) => g.tests)) {
          const secret = attempt(() => tier.mlKem768.decapsulate(fromHex(t.seed), fromHex(t.c)));
          expect(secret, `case ${t.tcId}`).toEqual(t.result === "valid" ? fromHex(t.K) : null);
        }
      });
    },
  );

  describeVectors<Wycheproof<object, { public: string; private: string; shared: string }>>(
    "wycheproof_x25519_test.json",
    ({ testGroups }) => {
      test(
        "X25519 agrees on every secret but the all-zero one, which is an error",
        () => {
          let refused = 0;
          for (const t of testGroups.flatMap((g) => g.tests)) {
            const shared = attempt(() => tier.x25519.sharedSecret(fromHex(t.private), fromHex(t.public)));
            if (t.flags?.includes("ZeroSharedSecret")) {
              expect(shared, `case ${t.tcId}`).toBeNull();
              refused++;
            } else {
              expect(shared, `case ${t.tcId}`).toEqual(fromHex(t.shared));
            }
          }
          expect(refused).toBeGreaterThan(20);
        },
        SLOW,
      );
    },
  );
});

describe.each(hashTiers)("the %s tier and Wycheproof", (_, tier) => {
  describeVectors<Wycheproof<object, { ikm: string; salt: string; info: string; size: number; okm: string }>>(
    "wycheproof_hkdf_sha256_test.json",
    ({ testGroups }) => {
      test("HKDF-SHA-256 derives what is valid, and refuses sizes beyond the standard", () => {
        for (const t of testGroups.flatMap((g) => g.tests)) {
          const okm = attempt(() =>
            tier.hkdfSha256(fromHex(t.ikm), fromHex(t.salt), fromHex(t.info), t.size),
          );
          expect(okm, `case ${t.tcId}`).toEqual(t.result === "valid" ? fromHex(t.okm) : null);
        }
      });
    },
  );
});
