import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  concat,
  equalConstantTime,
  fromBase64,
  fromHex,
  fromUtf8,
  lp,
  randomBytes,
  toBase64,
  toHex,
  u8,
  u32,
  u64,
  utf8,
  wipe,
} from "../../src/crypto/bytes.ts";
import { CryptoError } from "../../src/crypto/errors.ts";

const bytes = fc.uint8Array({ maxLength: 300 });

describe("hex", () => {
  test.each(["0", "0g", "AB", "0x00", " 00", "00 ", "ab\n", "é0"])("%j is refused", (text) => {
    expect(() => fromHex(text)).toThrow(CryptoError);
  });

  test("every byte string survives the way there and back", () => {
    fc.assert(
      fc.property(bytes, (b) => {
        expect(fromHex(toHex(b))).toEqual(b);
      }),
    );
    expect(toHex(Uint8Array.of(0, 10, 255))).toBe("000aff");
  });
});

describe("base64", () => {
  test.each([
    "A",
    "AA",
    "AAA",
    "AA=",
    "A===",
    "AA==AA==",
    "AAA-",
    "AA_A",
    "AA A",
    "AAAA\n",
    "====",
    "AB==",
    "AAB=",
  ])("%j is refused", (text) => {
    expect(() => fromBase64(text)).toThrow(CryptoError);
  });

  test("it agrees with Node's encoding and survives the way there and back", () => {
    fc.assert(
      fc.property(bytes, (b) => {
        const encoded = toBase64(b);
        expect(encoded).toBe(Buffer.from(b).toString("base64"));
        expect(fromBase64(encoded)).toEqual(b);
      }),
    );
  });

  test("a text is accepted only if it is the one spelling of its bytes", () => {
    const text = fc.string({ unit: fc.constantFrom(..."ABab01+/="), minLength: 4, maxLength: 8 });
    fc.assert(
      fc.property(text, (t) => {
        const canonical = Buffer.from(t, "base64").toString("base64") === t;
        if (canonical) expect(toBase64(fromBase64(t))).toBe(t);
        else expect(() => fromBase64(t)).toThrow(CryptoError);
      }),
    );
  });
});

describe("integers", () => {
  test.each([-1, 256, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("%d is no byte", (n) => {
    expect(() => u8(n)).toThrow(CryptoError);
  });

  test.each([-1, 2 ** 32, 0.5, Number.NaN])("%d is no uint32", (n) => {
    expect(() => u32(n)).toThrow(CryptoError);
  });

  test.each([-1, -1n, 2n ** 64n, 2 ** 53, 0.5, Number.NaN])("%s is no uint64", (n) => {
    expect(() => u64(n)).toThrow(CryptoError);
  });

  test("they are big-endian", () => {
    expect(toHex(u8(255))).toBe("ff");
    expect(toHex(u32(0xdeadbeef))).toBe("deadbeef");
    expect(toHex(u64(1))).toBe("0000000000000001");
    expect(toHex(u64(Number.MAX_SAFE_INTEGER))).toBe("001fffffffffffff");
    expect(toHex(u64(2n ** 64n - 1n))).toBe("ffffffffffffffff");
  });
});

describe("text", () => {
  test.each(["\ud800", "a\udc00b"])("a lone surrogate is refused, not replaced", (text) => {
    expect(() => utf8(text)).toThrow(CryptoError);
    expect(() => lp(text)).toThrow(CryptoError);
  });

  test.each([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]])(
    "bytes that are no UTF-8 are refused",
    (...b) => {
      expect(() => fromUtf8(Uint8Array.from(b))).toThrow(CryptoError);
    },
  );

  test("every well-formed string survives the way there and back, a byte order mark too", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (s) => {
        expect(fromUtf8(utf8(s))).toBe(s);
      }),
    );
    expect(fromUtf8(utf8("\ufeffa"))).toBe("\ufeffa");
  });

  test("a length prefix counts bytes, not characters", () => {
    expect(toHex(lp("é"))).toBe("00000002c3a9");
    expect(toHex(lp(Uint8Array.of(1, 2, 3)))).toBe("00000003010203");
    expect(toHex(lp(""))).toBe("00000000");
  });
});

describe("byte strings", () => {
  test("different lengths and any single different bit compare unequal", () => {
    expect(equalConstantTime(new Uint8Array(1), new Uint8Array(2))).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), (b, at) => {
        const other = b.slice();
        const bit = at % (8 * b.length);
        other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(equalConstantTime(b, other)).toBe(false);
        expect(equalConstantTime(b, b.slice())).toBe(true);
      }),
    );
  });

  test("joining copies, and wiping leaves zeros", () => {
    const part = Uint8Array.of(1, 2);
    const joined = concat(part, new Uint8Array(0), Uint8Array.of(3));
    expect(joined).toEqual(Uint8Array.of(1, 2, 3));
    wipe(part);
    expect(part).toEqual(new Uint8Array(2));
    expect(joined).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("random bytes come in any number, beyond what the platform gives at once", () => {
    const many = randomBytes(70_000);
    expect(many.length).toBe(70_000);
    expect(many.subarray(-1000).some((b) => b !== 0)).toBe(true);
    expect(randomBytes(32)).not.toEqual(randomBytes(32));
  });
});
