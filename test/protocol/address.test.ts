import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  displayAddress,
  isCanonicalAddress,
  MAX_ADDRESS_OCTETS,
  parseAddress,
} from "../../src/protocol/address.ts";
import vectors from "./address-vectors.json" with { type: "json" };
import { loneSurrogates } from "./lone-surrogates.ts";
import { refusal, unlessRefused } from "./refusal.ts";

describe("an address that is refused", () => {
  it.each([...vectors.refused, ...loneSurrogates])("$name", ({ input, error, message }) => {
    expect(refusal(() => parseAddress(input))).toMatchObject({ reason: error, field: "address", message });
    expect(isCanonicalAddress(input)).toBe(false);
  });

  it("is refused at once however long it is", () => {
    const message = "address is too long";
    expect(refusal(() => parseAddress(`"${"\\a".repeat(1_000_000)}"@example.com`)).message).toBe(message);
    expect(refusal(() => parseAddress(`a@${"\u00ad".repeat(1_000_000)}example.com`)).message).toBe(message);
  });

  it.each(Array.from({ length: 33 }, (_, index) => (index === 32 ? 0x7f : index)))(
    "holds the control character %i, bare, in quotes or behind a backslash",
    (code) => {
      const control = String.fromCharCode(code);
      for (const local of [`a${control}`, `"a${control}"`, `"a\\${control}"`]) {
        expect(refusal(() => parseAddress(`${local}@example.com`)).message).toBe(
          "address has a control character",
        );
      }
    },
  );

  it.each([...'()<>[]:;,\\" '])("has the special character %j without quotes", (special) => {
    const error = refusal(() => parseAddress(`a${special}b@example.com`));
    expect(error.message).toBe("local part has a character that must stand in quotes");
  });
});

describe("an address in canonical form", () => {
  it.each(vectors.accepted)("$name", ({ input, canonical }) => {
    const address = parseAddress(input);

    expect(address.canonical).toBe(canonical);
    expect(`${address.local}@${address.domain}`).toBe(canonical);
    expect(isCanonicalAddress(input)).toBe(input === canonical);
    expect(parseAddress(canonical)).toEqual(address);
  });

  it("never changes when it is brought to canonical form again", () => {
    fc.assert(
      fc.property(addressLike, (input) => {
        const address = unlessRefused(() => parseAddress(input));
        if (address === undefined) return;
        expect(parseAddress(address.canonical)).toEqual(address);
        expect(isCanonicalAddress(address.canonical)).toBe(true);
        expect(address.canonical.normalize("NFC")).toBe(address.canonical);
        expect(address.canonical).not.toMatch(/[A-Z]/);
        expect(new TextEncoder().encode(address.canonical).length).toBeLessThanOrEqual(MAX_ADDRESS_OCTETS);
      }),
      { numRuns: 3_000 },
    );
  });

  it("is the same for canonically equivalent spellings of the name", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }), (name) => {
        const spellings = [name, name.normalize("NFC"), name.normalize("NFD")].map((spelling) =>
          unlessRefused(() => parseAddress(`"${spelling.replace(/["\\]/g, "\\$&")}"@example.com`)),
        );
        expect(spellings[1]).toEqual(spellings[0]);
        expect(spellings[2]).toEqual(spellings[0]);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is the same with and without needless quotes and backslash pairs", () => {
    const atoms = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]{1,20}(\.[A-Za-z0-9]{1,9}){0,2}$/);
    fc.assert(
      fc.property(atoms, (local) => {
        const plain = parseAddress(`${local}@example.com`).canonical;
        expect(parseAddress(`"${local}"@example.com`).canonical).toBe(plain);
        expect(parseAddress(`"${local.replace(/./g, "\\$&")}"@example.com`).canonical).toBe(plain);
        expect(plain).toBe(`${local.toLowerCase()}@example.com`);
      }),
    );
  });

  it("keeps any printable ASCII name apart from every other, capitals aside", () => {
    const name = fc.stringMatching(/^[ -~]{1,20}$/);
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [left, right] = [a, b].map(
          (text) => parseAddress(`"${text.replace(/./g, "\\$&")}"@example.com`).canonical,
        );
        expect(left === right).toBe(a.toLowerCase() === b.toLowerCase());
      }),
    );
  });

  it("is found, or refused with a protocol error, for any text at all", () => {
    fc.assert(
      fc.property(fc.oneof(addressLike, fc.string({ unit: "binary" }), surrogateText), (input) => {
        unlessRefused(() => parseAddress(input));
        isCanonicalAddress(input);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("an address on display", () => {
  const display = (input: string) => displayAddress(parseAddress(input));

  it("warns of Cyrillic letters among Latin ones in the name", () => {
    expect(display("p\u0430ypal@example.com").warnings).toEqual([
      "the name mixes letters of Latin, Cyrillic",
    ]);
  });

  it("warns of a label that mixes scripts, and leaves it an A-label", () => {
    expect(display("alice@b\u00fccher.p\u0430ypal.com")).toEqual({
      text: "alice@bücher.xn--pypal-4ve.com",
      warnings: ['the domain\'s label "xn--pypal-4ve" mixes letters of Latin, Cyrillic'],
    });
  });

  it("warns of a joiner in a label, and leaves it an A-label", () => {
    expect(display("alice@\u0dc1\u0dca\u200d\u0dbb\u0dd3.example")).toEqual({
      text: "alice@xn--10cl1a0b660p.example",
      warnings: ['the domain\'s label "xn--10cl1a0b660p" has invisible or control characters'],
    });
  });

  it.each([
    ["a right-to-left override", "a\u202eb@example.com", "a\\u{202e}b@example.com"],
    ["a C1 control", "a\u009bb@example.com", "a\\u{9b}b@example.com"],
    ["a zero-width space", "a\u200bb@example.com", "a\\u{200b}b@example.com"],
    ["a Hangul filler", "a\u3164b@example.com", "a\\u{3164}b@example.com"],
    ["a no-break space", "a\u00a0b@example.com", "a\\u{a0}b@example.com"],
    ["a tag character", "a\u{e0041}@example.com", "a\\u{e0041}@example.com"],
  ])("spells out %s and warns of it", (_, input, text) => {
    const shown = display(input);
    expect(shown.text).toBe(text);
    expect(shown.warnings).toContain("the name has invisible or control characters");
  });

  it.each([
    ["alice@example.com", "alice@example.com"],
    ["rené@xn--bcher-kva.example", "rené@bücher.example"],
    ["иван@пример.рф", "иван@пример.рф"],
    ["たろう太郎タロー@日本カナ.jp", "たろう太郎タロー@日本カナ.jp"],
    ['"Alice Smith 2"@example.com', '"alice smith 2"@example.com'],
  ])("shows %s without a warning", (input, text) => {
    expect(display(input)).toEqual({ text, warnings: [] });
  });

  it("never shows what a terminal would obey", () => {
    fc.assert(
      fc.property(addressLike, (input) => {
        const address = unlessRefused(() => parseAddress(input));
        if (address !== undefined)
          expect(displayAddress(address).text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      }),
      { numRuns: 2_000 },
    );
  });
});

const surrogateText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
  .map((units) => `${String.fromCharCode(...units)}@example.com`);

// Text that gets past the first checks often: characters that mean something to the grammar, to NFC and to UTS #46.
const unit = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(..."aHKtTwxyzE019.-_'+", "H\u0331", "E\u0301") },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...'"\\@ ()<>[];', "\u0301", "\u0331", "\u0338", "\u212a", "\u037e"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(..."éßςİıſ한ㄱ中か。．ａ１", "\u05d0", "\u0627", "\u200c", "\u200d", "\u0dca"),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) },
);
const text = fc.string({ unit, minLength: 1, maxLength: 12 });
const addressLike = fc
  .tuple(
    fc.oneof(
      text,
      text.map((content) => `"${content.replace(/["\\]/g, "\\$&")}"`),
    ),
    fc.array(fc.oneof(fc.string({ unit: fc.constantFrom(..."abcXYZ09-"), minLength: 1 }), text), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([local, labels]) => `${local}@${labels.join(".")}.example`);
