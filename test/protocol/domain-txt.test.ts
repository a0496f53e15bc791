import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { domainTxtName, formatDomainTxt, readDomainTxt } from "../../src/protocol/domain-txt.ts";

const HASH = "0123456789abcdef".repeat(4);

describe("the TXT record of a domain", () => {
  it("is looked up below a label of its own", () => {
    expect(domainTxtName("acme.example")).toBe("_keypears.acme.example");
  });

  it.each([
    `v=kp2; h=${HASH.toUpperCase()}`,
    `v=kp2; h=${HASH.slice(1)}`,
    `v=kp2; h=${HASH}0`,
    "v=kp2",
    "v=kp2;",
    "v=kp2; h=",
    `v=kp2; h=${HASH}; h=${HASH}`,
    `v=kp2; h=${HASH}; s=`,
    `v=kp2; h=${HASH}; s=-1`,
    `v=kp2; h=${HASH}; s=07`,
    `v=kp2; h=${HASH}; s=1.5`,
    `v=kp2; h=${HASH}; s=9007199254740993`,
    `v=kp2; h=${HASH}; s=7; s=8`,
    `v=kp2; h=${HASH}; junk`,
    `v=kp2; h=${HASH};; s=7`,
  ])("cannot be read, and is not absent: %s", (text) => {
    expect(readDomainTxt([[text]])).toEqual({ found: [], malformed: [text] });
  });

  it.each([
    "",
    "v=spf1 -all",
    "v=kp1; h=1",
    "v=kp20; h=1",
    `h=${HASH}; v=kp2`,
    "V=kp2; h=1",
    "google-site=1",
  ])("is none: %j", (text) => {
    expect(readDomainTxt([[text]])).toEqual({ found: [], malformed: [] });
  });

  it.each([
    [`v=kp2; h=${HASH}`, { keyHash: HASH }],
    [`v=kp2;h=${HASH};s=7;`, { keyHash: HASH, minSerial: 7 }],
    [` v = kp2 ; s = 7 ; h = ${HASH} `, { keyHash: HASH, minSerial: 7 }],
    [`v=kp2; h=${HASH}; s=0`, { keyHash: HASH, minSerial: 0 }],
    [`v=kp2; h=${HASH}; later=tag`, { keyHash: HASH }],
  ])("is read, unknown tags left out: %s", (text, record) => {
    expect(readDomainTxt([[text]]).found).toEqual([record]);
  });

  it("is read whatever its chunks are, beside others that are not its kind", () => {
    const record = { keyHash: HASH, minSerial: 42 };
    const text = formatDomainTxt(record);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length }), fc.string(), (cut, other) => {
        const records = [[text.slice(0, cut), text.slice(cut)], [`x${other}`]];
        expect(readDomainTxt(records)).toEqual({ found: [record], malformed: [] });
      }),
    );
  });

  it("is read as it was written", () => {
    fc.assert(
      fc.property(fc.option(fc.maxSafeNat(), { nil: undefined }), (minSerial) => {
        const record = { keyHash: HASH, ...(minSerial && { minSerial }) };
        expect(readDomainTxt([[formatDomainTxt(record)]]).found).toEqual([record]);
      }),
    );
  });

  it("never makes the reader throw, whatever stands there", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.string({ unit: "binary" }))), (records) => {
        const { found, malformed } = readDomainTxt(records);
        expect(found.length + malformed.length).toBeLessThanOrEqual(records.length);
      }),
    );
  });
});
