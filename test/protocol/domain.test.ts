import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalDomain, isCanonicalDomain } from "../../src/protocol/domain.ts";
import { domainToAscii } from "../../src/protocol/idna.ts";
import { refusal, unlessRefused } from "./refusal.ts";

describe("a domain", () => {
  it.each([
    ["", "domain is empty"],
    ["a".repeat(2_049), "domain is too long"],
    ["example.com.", "domain ends in a dot"],
    ["example.com。", "domain ends in a dot"],
    [".", "domain ends in a dot"],
    ["[::1]", "domain is an IP literal; a DNS name is needed"],
    ["::1.example", "domain has a character other than letters, digits and hyphens"],
    ["example.com:443", "domain has a character other than letters, digits and hyphens"],
    ["2130706433", "domain has only one label"],
    ["0x7f.1", "domain is an IP address or ends in a number"],
    ["0177.0.0.1", "domain is an IP address or ends in a number"],
    ["a.\ud800", "domain has a lone surrogate"],
    ["a\u0000.example", "domain has a character other than letters, digits and hyphens"],
    ["xn--.example", "domain has a character or label that UTS #46 refuses"],
  ])("%j is refused and told why", (input, message) => {
    expect(refusal(() => canonicalDomain(input))).toMatchObject({
      reason: "DOMAIN_INVALID",
      field: "domain",
      message,
    });
    expect(isCanonicalDomain(input)).toBe(false);
  });

  it("is in canonical form only in lower-case A-labels", () => {
    expect(canonicalDomain("BÜCHER.Example")).toBe("xn--bcher-kva.example");
    expect(isCanonicalDomain("xn--bcher-kva.example")).toBe(true);
    expect(isCanonicalDomain("Example.com")).toBe(false);
    expect(isCanonicalDomain("bücher.example")).toBe(false);
  });

  it("of plain ASCII comes out exactly as UTS #46's table has it, or is refused by both", () => {
    const label = fc.oneof(
      { weight: 6, arbitrary: fc.string({ unit: fc.constantFrom(..."abzAXZ059-"), maxLength: 8 }) },
      { weight: 1, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 4 }) },
      { weight: 1, arbitrary: fc.constantFrom("ab--c", "-a", "a-", "XN--BCHER-KVA", "xn--a", "a_b", "") },
    );
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
        // The two closing labels keep length, number and label-count rules, which the table knows nothing of, out of play.
        const input = `${labels.join(".")}.b.example`;
        if (labels[0]?.startsWith("[") || labels.some((text) => text === "" || text.split(".").includes("")))
          return;
        expect(unlessRefused(() => canonicalDomain(input))).toBe(domainToAscii(input));
      }),
      { numRuns: 5_000 },
    );
  });

  it("comes out unchanged from a second pass, and never throws anything but a protocol error", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.domain(), punycoded), (input) => {
        const canonical = unlessRefused(() => canonicalDomain(input));
        if (canonical === undefined) return;
        expect(canonicalDomain(canonical)).toBe(canonical);
        expect(canonical).toMatch(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/);
      }),
      { numRuns: 5_000 },
    );
  });
});

const punycoded = fc.stringMatching(/^xn--[a-z0-9-]{1,12}$/).map((label) => `${label}.example`);
