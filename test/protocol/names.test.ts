// Names that people would take for something else: of domains, and of those who run them.

import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/protocol/address.ts";
import { displayDomain } from "../../src/protocol/display.ts";
import { canonicalDomain } from "../../src/protocol/domain.ts";
import { hostableDomain } from "../../src/protocol/hostable-domain.ts";
import { isReservedName } from "../../src/protocol/reserved-names.ts";
import { refusal } from "./refusal.ts";

const shown = (domain: string) => displayDomain(canonicalDomain(domain));

describe("a domain that a node takes on", () => {
  it.each([
    ["mixes Latin and Cyrillic", "p\u0430ypal.example"],
    ["mixes Latin and Greek", "g\u03bfogle.example"],
    ["is in Cyrillic letters that look like Latin ones", "\u0441\u043e\u0441\u043e.example"],
    ["is in Greek letters that look like Latin ones", "\u03bd\u03b9\u03bf.example"],
    ["mixes scripts in a label further up", "www.p\u0430ypal.example"],
    ["is spelled in A-labels", "xn--pypal-4ve.example"],
  ])("is none that %s", (_, domain) => {
    expect(refusal(() => hostableDomain(domain))).toMatchObject({
      reason: "DOMAIN_NAME_MISLEADING",
      field: "domain",
    });
  });

  it("is none that is no domain, or that DNS cannot hold", () => {
    expect(refusal(() => hostableDomain("acme")).reason).toBe("DOMAIN_INVALID");
    const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(53)}.example`;
    expect(long.length).toBe(253);
    expect(hostableDomain(long)).toBe(long);
    expect(refusal(() => hostableDomain(`e${long.replace("d", "dd")}`)).reason).toBe("DOMAIN_INVALID");
  });

  it.each(["Acme.Example", "bücher.example", "münchen.example", "例え.example", "сосо.рф", "яндекс.example"])(
    "may be in any one script: %s",
    (domain) => {
      expect(hostableDomain(domain)).toBe(canonicalDomain(domain));
    },
  );
});

describe("a domain on display", () => {
  it("is in its own letters, unless they mislead", () => {
    expect(shown("bücher.example")).toEqual({ text: "bücher.example", warnings: [] });
    expect(shown("сосо.рф")).toEqual({ text: "сосо.рф", warnings: [] });
    expect(shown("сосо.example")).toEqual({
      text: "xn--n1aahb.example",
      warnings: [`the domain's label "xn--n1aahb" is in another script and looks like Latin letters`],
    });
  });
});

describe("a name that staff answers to", () => {
  it.each([
    "postmaster",
    "Abuse",
    "admin",
    "hostmaster",
    "webmaster",
    "security",
    "no-reply",
    "No.Reply",
    "do_not_reply",
    "admin+tag",
    '"ad min"',
    '"post@master"',
    "\u0430dmin",
    "\uff41\uff44\uff4d\uff49\uff4e",
    "supp\u043ert",
  ])("is reserved: %s", (name) => {
    expect(isReservedName(parseAddress(`${name}@acme.example`).local)).toBe(true);
  });

  it.each(["alice", "adminton", "rooted", "a", "müller", "support-alice", '"+"', "яна"])(
    "is not: %s",
    (name) => {
      expect(isReservedName(parseAddress(`${name}@acme.example`).local)).toBe(false);
    },
  );
});
