import { describe, expect, it } from "vitest";
import { discoveryUrl, parseResolveOption } from "../../src/federation/development-resolution.ts";

describe("--resolve", () => {
  it.each([
    ["acme.test", "must look like"],
    ["", "must look like"],
    ["acme.test=", "has no valid URL"],
    ["acme.test=127.0.0.1:4274", "has no valid URL"],
    ["acme.test=ftp://127.0.0.1:4274", "must name an http or https origin"],
    ["acme.test=file:///etc/passwd", "must name an http or https origin"],
    ["acme.test=http://127.0.0.1:4274/api", "more than an origin"],
    ["acme.test=http://127.0.0.1:4274?", "more than an origin"],
    ["acme.test=http://127.0.0.1:4274#", "more than an origin"],
    ["acme.test=http://user@127.0.0.1:4274", "user information"],
    ["acme.test=http://:secret@127.0.0.1:4274", "user information"],
    ["127.0.0.1=http://127.0.0.1:4274", "IP address"],
    ["localhost=http://127.0.0.1:4274", "only one label"],
  ])("refuses %j", (text, message) => {
    expect(() => parseResolveOption(text)).toThrow(message);
  });

  it("reads a domain and the origin that stands for it", () => {
    const [domain, origin] = parseResolveOption("Acme.TEST=http://127.0.0.1:4274");
    expect(domain).toBe("acme.test");
    expect(origin.origin).toBe("http://127.0.0.1:4274");
    expect(parseResolveOption("acme.test=https://[::1]:8443/")[1].hostname).toBe("[::1]");
  });
});

describe("a discovery document's URL", () => {
  it("is on the domain's own name over https", () => {
    expect(discoveryUrl("acme.test", undefined).href).toBe("https://acme.test/.well-known/keypears.json");
  });

  it("keeps the name and takes scheme and port from development resolution", () => {
    const development = new Map([parseResolveOption("acme.test=http://127.0.0.1:4274")]);
    expect(discoveryUrl("acme.test", development).href).toBe(
      "http://acme.test:4274/.well-known/keypears.json",
    );
    expect(discoveryUrl("other.test", development).href).toBe("https://other.test/.well-known/keypears.json");
  });
});
