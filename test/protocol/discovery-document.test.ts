import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  buildDiscoveryDocument,
  type DomainKeyMembers,
  MAX_DISCOVERY_DOCUMENT_OCTETS,
  parseDiscoveryDocument,
} from "../../src/protocol/discovery-document.ts";
import { refusal, unlessRefused } from "./refusal.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parseDiscoveryDocument(bytes(text));
const HASH = "0123456789abcdef".repeat(4);
const URL_TEXT = '"apiUrl":"https://host.example/api"';

describe("a discovery document", () => {
  it.each([
    ["", "discovery document is not JSON"],
    ["<!doctype html>", "discovery document is not JSON"],
    [`\ufeff{"version":1,${URL_TEXT}}`, "discovery document is not JSON"],
    [`{"version":1,${URL_TEXT}} trailing`, "discovery document is not JSON"],
    [`{"version":1,${URL_TEXT},}`, "discovery document is not JSON"],
    ["[".repeat(60_000), "discovery document is not JSON"],
    ["null", "discovery document is not a JSON object"],
    ["[]", "discovery document is not a JSON object"],
    ['"https://host.example"', "discovery document is not a JSON object"],
    [`{"version":1,${URL_TEXT},"version":2}`, "discovery document names a member twice"],
    [
      `{"version":1,${URL_TEXT},"\\u0061piUrl":"https://evil.example"}`,
      "discovery document names a member twice",
    ],
    [`{"version":1,"x":1,${URL_TEXT},"x" : 1}`, "discovery document names a member twice"],
    ["{}", "discovery document has no version, or one that is no whole number"],
    [`{${URL_TEXT}}`, "discovery document has no version, or one that is no whole number"],
    [`{"version":"1",${URL_TEXT}}`, "discovery document has no version, or one that is no whole number"],
    [`{"version":0,${URL_TEXT}}`, "discovery document has no version, or one that is no whole number"],
    [`{"version":-1,${URL_TEXT}}`, "discovery document has no version, or one that is no whole number"],
    [`{"version":1.5,${URL_TEXT}}`, "discovery document has no version, or one that is no whole number"],
    [
      `{"__proto__":{"version":1},${URL_TEXT}}`,
      "discovery document has no version, or one that is no whole number",
    ],
    ['{"apiDomain":7}', "discovery document has no version, or one that is no whole number"],
    ['{"version":1}', "discovery document has no apiUrl"],
    ['{"version":1,"apiUrl":["https://host.example"]}', "discovery document has no apiUrl"],
    ['{"version":1,"apiUrl":"http://host.example"}', "apiUrl must start with https://"],
    [
      '{"version":1,"apiUrl":"https://127.0.0.1"}',
      "apiUrl host is no DNS name: domain is an IP address or ends in a number",
    ],
    [`{"version":2,${URL_TEXT}}`, "discovery document has no domainPubKeyHash of 64 lower-case hex digits"],
    [
      `{"version":2,${URL_TEXT},"domainPubKeyHash":"${HASH.toUpperCase()}"}`,
      "discovery document has no domainPubKeyHash of 64 lower-case hex digits",
    ],
    [
      `{"version":2,${URL_TEXT},"domainPubKeyHash":"${HASH}0"}`,
      "discovery document has no domainPubKeyHash of 64 lower-case hex digits",
    ],
    [
      `{"version":2,${URL_TEXT},"domainPubKeyHash":"${HASH}","minSerial":"7"}`,
      "discovery document has a minSerial that is no whole number",
    ],
    [
      `{"version":2,${URL_TEXT},"domainPubKeyHash":"${HASH}","minSerial":-1}`,
      "discovery document has a minSerial that is no whole number",
    ],
    [
      `{"version":2,${URL_TEXT},"domainPubKeyHash":"${HASH}","minSerial":9007199254740992}`,
      "discovery document has a minSerial that is no whole number",
    ],
  ])("of %j is refused and told why", (text, message) => {
    expect(refusal(() => parse(text))).toMatchObject({ reason: "DISCOVERY_DOCUMENT_INVALID", message });
  });

  it("names the member at fault as its field", () => {
    expect(refusal(() => parse('{"version":1,"apiUrl":"http://host.example"}')).field).toBe("apiUrl");
    expect(refusal(() => parse(`{"version":2,${URL_TEXT}}`)).field).toBe("domainPubKeyHash");
  });

  it("is refused when its bytes are not UTF-8", () => {
    const text = bytes(`{"version":1,${URL_TEXT},"x":"?"}`);
    text[text.indexOf("?".charCodeAt(0))] = 0xff;
    expect(refusal(() => parseDiscoveryDocument(text)).message).toBe("discovery document is not UTF-8");
  });

  it("is refused past 64 KiB of octets and taken at them", () => {
    const filled = (size: number) => `{"version":1,${URL_TEXT}}`.padEnd(size, " ");
    expect(parse(filled(MAX_DISCOVERY_DOCUMENT_OCTETS)).version).toBe(1);
    expect(refusal(() => parse(filled(MAX_DISCOVERY_DOCUMENT_OCTETS + 1))).message).toBe(
      "discovery document is larger than 65536 octets",
    );
  });

  it.each([
    [
      '{"apiDomain":"host.example"}',
      "speaks an older protocol (apiDomain); its host must upgrade to version 1 or 2",
    ],
    [`{"version":3,${URL_TEXT}}`, "has version 3; versions 1 and 2 are supported"],
    ['{"version":99}', "has version 99; versions 1 and 2 are supported"],
  ])("of another protocol, %s, is reported as such", (text, problem) => {
    const message = `discovery document ${problem}`;
    expect(refusal(() => parse(text))).toMatchObject({ reason: "PEER_PROTOCOL_UNSUPPORTED", message });
  });

  it("of version 1 gives its URL, whatever else it holds", () => {
    const document = parse(
      `{"version":1,${URL_TEXT.replace("/api", "/api/")},"apiDomain":"x","nested":{"version":2,"a":[{"version":3}]},"s":"\\"version\\":2,{["}`,
    );
    expect(document).toMatchObject({ version: 1, apiUrl: { href: "https://host.example/api" } });
    expect(Object.keys(document)).toEqual(["version", "apiUrl"]);
  });

  it("of version 2 gives the domain key's hash and, where it stands, the minimum serial", () => {
    const start = `{"version":2,${URL_TEXT},"domainPubKeyHash":"${HASH}"`;
    expect(parse(`${start}}`)).toEqual({ version: 2, apiUrl: expect.anything(), domainPubKeyHash: HASH });
    expect(parse(`${start},"minSerial":7}`)).toMatchObject({
      version: 2,
      domainPubKeyHash: HASH,
      minSerial: 7,
    });
  });

  it("takes plain http on loopback in development only", () => {
    const document = bytes('{"version":1,"apiUrl":"http://127.0.0.1:4274"}');
    expect(refusal(() => parseDiscoveryDocument(document)).field).toBe("apiUrl");
    expect(parseDiscoveryDocument(document, { allowInsecure: true }).apiUrl.port).toBe(4274);
  });

  it("is built as one text for one URL, and read back as it was built", () => {
    expect(buildDiscoveryDocument("https://Host.example/api/")).toBe(
      '{"version":1,"apiUrl":"https://host.example/api"}',
    );
    expect(parse(buildDiscoveryDocument("https://host.example")).apiUrl.href).toBe("https://host.example");
    expect(refusal(() => buildDiscoveryDocument("http://host.example")).reason).toBe("API_URL_INVALID");
  });

  it("is built with the owner's key as version 2, whose members stand in the order of the protocol", () => {
    const domainPubKeyHash = "0123456789abcdef".repeat(4);
    const build = (key: DomainKeyMembers) => buildDiscoveryDocument("https://host.example", {}, key);
    expect(build({ minSerial: 7, domainPubKeyHash })).toBe(
      `{"version":2,"apiUrl":"https://host.example","domainPubKeyHash":"${domainPubKeyHash}","minSerial":7}`,
    );
    expect(parse(build({ domainPubKeyHash }))).toMatchObject({ version: 2, domainPubKeyHash });
    for (const key of [{ domainPubKeyHash: "AB" }, { domainPubKeyHash, minSerial: 1.5 }]) {
      expect(refusal(() => build(key)).reason).toBe("DISCOVERY_DOCUMENT_INVALID");
    }
  });

  it("never makes the parser throw anything but a protocol error", () => {
    const members = fc.dictionary(
      fc.constantFrom("version", "apiUrl", "apiDomain", "domainPubKeyHash", "minSerial"),
      fc.jsonValue(),
    );
    const text = fc.oneof(
      members.map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(fc.oneof(text.map(bytes), fc.uint8Array()), (document) => {
        unlessRefused(() => parseDiscoveryDocument(document));
      }),
      { numRuns: 3_000 },
    );
  });

  it("takes any JSON object beside its members, and finds a doubled member behind any of them", () => {
    const extra = fc.dictionary(
      fc.string({ unit: "binary", minLength: 1 }).map((name) => `x${name}`),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(extra, (value) => {
        const inner = JSON.stringify(value).slice(1, -1);
        const rest = inner === "" ? "" : `,${inner}`;
        expect(parse(`{"version":1,${URL_TEXT}${rest}}`).version).toBe(1);
        expect(refusal(() => parse(`{"version":1,${URL_TEXT}${rest},"version":1}`)).message).toBe(
          "discovery document names a member twice",
        );
      }),
    );
  });
});
