import { describe, expect, test } from "vitest";
import { concat, lp, randomBytes, utf8 } from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import {
  DEFAULT_PASSWORD_COST,
  loginKey,
  loginVerifier,
  normalizePassword,
  passwordKey,
  requirePasswordCost,
  wrappingKey,
} from "../../src/crypto/password.ts";
import { js } from "./tiers.ts";

const SLOW = 60_000;

describe("a password", () => {
  test.each([
    ["empty", ""],
    ["over 1,024 bytes", "a".repeat(1025)],
    ["over 1,024 bytes in UTF-8", "é".repeat(513)],
    ["not well-formed", "a\ud800"],
  ])("that is %s is refused", (_, password) => {
    expect(() => normalizePassword(password)).toThrow(CryptoError);
  });

  test("is one whichever way its accents are typed, and keeps its spaces and capitals", () => {
    expect(normalizePassword("e\u0301")).toEqual(normalizePassword("\u00e9"));
    expect(normalizePassword(" A b ")).toEqual(utf8(" A b "));
    expect(normalizePassword("a".repeat(1024)).length).toBe(1024);
  });
});

describe("costs", () => {
  test.each([
    { memoryKiB: 65_535 },
    { memoryKiB: 1_048_577 },
    { memoryKiB: Number.NaN },
    { memoryKiB: 65_536.5 },
    { passes: 2 },
    { passes: 11 },
    { lanes: 0 },
    { lanes: 2 },
  ])("of %o are refused, before any work is done", async (change) => {
    const cost = { ...DEFAULT_PASSWORD_COST, ...change };
    expect(() => requirePasswordCost(cost)).toThrow(CryptoError);
    await expect(passwordKey("password", "alice@acme.test", randomBytes(32), cost)).rejects.toBeInstanceOf(
      CryptoError,
    );
  });

  test("at both bounds are accepted", () => {
    requirePasswordCost(DEFAULT_PASSWORD_COST);
    requirePasswordCost({ memoryKiB: 1_048_576, passes: 10, lanes: 1 });
  });
});

describe("keys from a password", () => {
  test("a salt of the wrong length is refused", async () => {
    await expect(passwordKey("password", "alice@acme.test", randomBytes(16))).rejects.toBeInstanceOf(
      CryptoError,
    );
  });

  test(
    "are those of the protocol, and differ by password, address and salt",
    async () => {
      const salt = randomBytes(32);
      const key = await passwordKey("correct horse", "alice@acme.test", salt);
      const bound = js.blake3.deriveKey("keypears v1 password salt", concat(lp("alice@acme.test"), salt));
      const cost = { memoryKiB: 65_536, passes: 3, lanes: 1 };
      expect(key).toEqual(await js.argon2id(utf8("correct horse"), bound.subarray(0, 16), cost, 32));
      for (const other of [
        await passwordKey("correct horsf", "alice@acme.test", salt),
        await passwordKey("correct horse", "alicf@acme.test", salt),
        await passwordKey("correct horse", "alice@acme.test", randomBytes(32)),
      ]) {
        expect(other).not.toEqual(key);
      }
    },
    SLOW,
  );

  test("what logs in, what unwraps and what the server keeps are different, and as the protocol derives them", () => {
    const key = randomBytes(32);
    const login = loginKey(key);
    expect(wrappingKey(key)).toEqual(js.blake3.deriveKey("keypears v1 wrapping key", key));
    expect(login).toEqual(js.blake3.deriveKey("keypears v1 login key", key));
    const verifier = loginVerifier("alice@acme.test", login);
    expect(verifier).toEqual(
      js.blake3.deriveKey("keypears v1 login verifier", concat(lp("alice@acme.test"), login)),
    );
    expect(loginVerifier("bob@acme.test", login)).not.toEqual(verifier);
  });

  test("inputs of the wrong length are refused", () => {
    expect(() => wrappingKey(randomBytes(31))).toThrow(CryptoError);
    expect(() => loginKey(randomBytes(33))).toThrow(CryptoError);
    expect(() => loginVerifier("alice@acme.test", randomBytes(31))).toThrow(CryptoError);
  });
});
