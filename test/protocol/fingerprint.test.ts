import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fingerprint, parseFingerprint, sameFingerprint } from "../../src/protocol/fingerprint.ts";
import { refusal, unlessRefused } from "./refusal.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const ascending = Uint8Array.from({ length: 32 }, (_, index) => (index * 37 + 11) & 0xff);

describe("a fingerprint", () => {
  it.each([0, 20, 31, 33])("is not made of a hash of %i bytes", (length) => {
    expect(refusal(() => fingerprint(new Uint8Array(length)))).toMatchObject({
      reason: "FINGERPRINT_INVALID",
      message: "key set hash must be 32 bytes",
    });
  });

  it.each([
    ["", "fingerprint must have 32 characters, got 0"],
    ["0000 0000 0000 0000 0000 0000 0000 000", "fingerprint must have 32 characters, got 31"],
    ["0".repeat(33), "fingerprint must have 32 characters, got 33"],
    ["U".padEnd(32, "0"), "fingerprint has a character other than digits and letters without U"],
    ["u".padEnd(32, "0"), "fingerprint has a character other than digits and letters without U"],
    ["0_".repeat(16), "fingerprint has a character other than digits and letters without U"],
    ["٠".repeat(32), "fingerprint has a character other than digits and letters without U"],
    ["ı".repeat(32), "fingerprint has a character other than digits and letters without U"],
    ["ſ".repeat(32), "fingerprint has a character other than digits and letters without U"],
  ])("is not read from %j", (input, message) => {
    expect(refusal(() => parseFingerprint(input))).toMatchObject({ reason: "FINGERPRINT_INVALID", message });
  });

  it.each([
    [new Uint8Array(32), "0000 0000 0000 0000 0000 0000 0000 0000"],
    [new Uint8Array(32).fill(0xff), "ZZZZ ZZZZ ZZZZ ZZZZ ZZZZ ZZZZ ZZZZ ZZZZ"],
    [Uint8Array.of(0x80, ...new Uint8Array(31)), "G000 0000 0000 0000 0000 0000 0000 0000"],
    [
      Uint8Array.from({ length: 32 }, (_, index) => (index === 19 ? 1 : 0)),
      "0000 0000 0000 0000 0000 0000 0000 0001",
    ],
    [ascending, "1CR5 AYMZ RKMG WCTR FPHC FV0H 6SDR 19EA"],
  ])("of %j is %s", (keySetHash, text) => {
    expect(fingerprint(keySetHash)).toBe(text);
  });

  it("shows the first 20 bytes as one big-endian number, and nothing of the other 12", () => {
    fc.assert(
      fc.property(hash, (keySetHash) => {
        const text = fingerprint(keySetHash);
        expect(text).toMatch(/^([0-9A-HJKMNP-TV-Z]{4} ){7}[0-9A-HJKMNP-TV-Z]{4}$/);
        const shown = [...text.replaceAll(" ", "")].reduce(
          (sum, char) => sum * 32n + BigInt(ALPHABET.indexOf(char)),
          0n,
        );
        const meant = keySetHash.subarray(0, 20).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
        expect(shown).toBe(meant);
        expect(
          fingerprint(new Uint8Array(32).fill(7).map((rest, i) => (i < 20 ? (keySetHash[i] ?? 0) : rest))),
        ).toBe(text);
      }),
    );
  });

  it("is read back however a person spaces and spells it", () => {
    const text = fingerprint(ascending);
    expect(parseFingerprint(text)).toBe(text);
    expect(parseFingerprint(text.toLowerCase().replaceAll(" ", ""))).toBe(text);
    expect(parseFingerprint(` ${text.replaceAll(" ", "-")}\n`)).toBe(text);
    expect(parseFingerprint(text.replaceAll(" ", "\u2013"))).toBe(text);
    expect(parseFingerprint(text.replaceAll("0", "o").replaceAll("1", "l"))).toBe(text);
    expect(parseFingerprint(text.replaceAll("0", "O").replaceAll("1", "I"))).toBe(text);
  });

  it("equals another exactly when the 20 bytes do", () => {
    expect(sameFingerprint(fingerprint(ascending), fingerprint(ascending).toLowerCase())).toBe(true);
    const changed = Uint8Array.from(ascending, (byte, index) => (index === 19 ? byte ^ 1 : byte));
    expect(sameFingerprint(fingerprint(ascending), fingerprint(changed))).toBe(false);
    expect(refusal(() => sameFingerprint(fingerprint(ascending), "")).reason).toBe("FINGERPRINT_INVALID");
  });

  it("comes out unchanged from a second pass, and never makes the parser throw anything but a protocol error", () => {
    const typed = fc.string({
      unit: fc.constantFrom(...ALPHABET, ..."oOiIlLabz -"),
      minLength: 32,
      maxLength: 40,
    });
    fc.assert(
      fc.property(fc.oneof(typed, fc.string({ unit: "binary" })), (input) => {
        const text = unlessRefused(() => parseFingerprint(input));
        if (text !== undefined) expect(parseFingerprint(text)).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });
});
