import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_API_URL_OCTETS, parseApiUrl } from "../../src/protocol/api-url.ts";
import { refusal, unlessRefused } from "./refusal.ts";

const LITERAL = "apiUrl host is no DNS name: domain is an IP literal; a DNS name is needed";
const NUMBER = "apiUrl host is no DNS name: domain is an IP address or ends in a number";
const ONE_LABEL = "apiUrl host is no DNS name: domain has only one label";
const STRAY = "apiUrl has a space, a control character or one outside ASCII";
const NO_HTTPS = "apiUrl must start with https://";
const PORT = "apiUrl port must be 443 or 1024 to 65535";
const NO_HOST = "apiUrl has no host, or a malformed one";
const DOT_SEGMENT = "apiUrl path has a dot segment";
const PATH = "apiUrl path has a character that a URL path cannot hold";

describe("an API URL", () => {
  it.each([
    ["", NO_HTTPS],
    ["host.example", NO_HTTPS],
    ["//host.example", NO_HTTPS],
    ["https:host.example", NO_HTTPS],
    ["https:/host.example", NO_HTTPS],
    ["https:\\\\host.example", NO_HTTPS],
    ["http://host.example", NO_HTTPS],
    ["ftp://host.example", NO_HTTPS],
    ["file:///etc/passwd", NO_HTTPS],
    ["javascript:alert(1)", NO_HTTPS],
    ["https://", NO_HOST],
    ["https:///api", NO_HOST],
    ["https://:443/api", NO_HOST],
    ["https://[::1", NO_HOST],
    ["https://a[::1]", NO_HOST],
    [" https://host.example", STRAY],
    ["https://host.example\n", STRAY],
    ["https://ho\tst.example", STRAY],
    ["https://bücher.example", STRAY],
    ["https://host。example", STRAY],
    ["https://user@host.example", "apiUrl has user information"],
    ["https://user:password@host.example", "apiUrl has user information"],
    ["https://@host.example", "apiUrl has user information"],
    ["https://host.example?q=1", "apiUrl has a query"],
    ["https://host.example/api?", "apiUrl has a query"],
    ["https://host.example/api#top", "apiUrl has a fragment"],
    ["https://host.example#", "apiUrl has a fragment"],
    ["https://localhost", ONE_LABEL],
    ["https://2130706433", ONE_LABEL],
    ["https://0x7f000001", ONE_LABEL],
    ["https://127.0.0.1", NUMBER],
    ["https://127.1", NUMBER],
    ["https://0x7f.0.0.1", NUMBER],
    ["https://0177.0.0.1", NUMBER],
    ["https://192.0.2.1:8443", NUMBER],
    ["https://[::1]", LITERAL],
    ["https://[2001:db8::1]:8443/api", LITERAL],
    ["https://host.example.", "apiUrl host is no DNS name: domain ends in a dot"],
    ["https://127.0.0.1.", "apiUrl host is no DNS name: domain ends in a dot"],
    ["https://host..example", "apiUrl host is no DNS name: domain has an empty label"],
    [
      "https://ho%73t.example",
      "apiUrl host is no DNS name: domain has a character other than letters, digits and hyphens",
    ],
    ["https://evil.example\\@host.example", "apiUrl has user information"],
    [
      "https://evil.example\\.host.example",
      "apiUrl host is no DNS name: domain has a character other than letters, digits and hyphens",
    ],
    ["https://host.example:", PORT],
    ["https://host.example:0", PORT],
    ["https://host.example:22", PORT],
    ["https://host.example:80", PORT],
    ["https://host.example:1023", PORT],
    ["https://host.example:65536", PORT],
    ["https://host.example:0443", PORT],
    ["https://host.example:+443", PORT],
    ["https://host.example:443:443", PORT],
    ["https://host.example/.", DOT_SEGMENT],
    ["https://host.example/..", DOT_SEGMENT],
    ["https://host.example/a/../b", DOT_SEGMENT],
    ["https://host.example/a/%2e%2E/b", DOT_SEGMENT],
    ["https://host.example/a/.%2e", DOT_SEGMENT],
    ["https://host.example/%2e/", DOT_SEGMENT],
    ["https://host.example//", "apiUrl path has an empty segment"],
    ["https://host.example//api", "apiUrl path has an empty segment"],
    ["https://host.example/a%2f..", "apiUrl path has an encoded slash or backslash"],
    ["https://host.example/a%5C..", "apiUrl path has an encoded slash or backslash"],
    ["https://host.example/a\\..\\b", PATH],
    ["https://host.example/a%zz", PATH],
    ["https://host.example/%", PATH],
    ["https://host.example/<a>", PATH],
  ])("%j is refused and told why", (input, message) => {
    expect(refusal(() => parseApiUrl(input))).toMatchObject({
      reason: "API_URL_INVALID",
      field: "apiUrl",
      message,
    });
  });

  it("is refused past 2,048 octets and taken at them", () => {
    const url = `https://host.example/${"a".repeat(MAX_API_URL_OCTETS - 21)}`;
    expect(parseApiUrl(url).href).toBe(url);
    expect(refusal(() => parseApiUrl(`${url}a`)).message).toBe("apiUrl longer than 2048 octets");
  });

  it.each([
    ["https://host.example", "https://host.example", "host.example", 443, ""],
    ["https://host.example/", "https://host.example", "host.example", 443, ""],
    ["https://host.example/api", "https://host.example/api", "host.example", 443, "/api"],
    ["https://host.example/api/", "https://host.example/api", "host.example", 443, "/api"],
    ["HTTPS://Host.EXAMPLE:443/Api", "https://host.example/Api", "host.example", 443, "/Api"],
    ["https://host.example:1024", "https://host.example:1024", "host.example", 1024, ""],
    ["https://host.example:65535/a/b/", "https://host.example:65535/a/b", "host.example", 65535, "/a/b"],
    [
      "https://xn--bcher-kva.example/%C3%A9",
      "https://xn--bcher-kva.example/%C3%A9",
      "xn--bcher-kva.example",
      443,
      "/%C3%A9",
    ],
    ["https://host.example/...", "https://host.example/...", "host.example", 443, "/..."],
  ])("%s is taken as %s", (input, href, host, port, path) => {
    const origin = href.slice(0, href.length - path.length);
    expect(parseApiUrl(input)).toEqual({ href, origin, scheme: "https", host, port, path });
  });

  it("comes out unchanged from a second pass, and a browser reads the same from it", () => {
    fc.assert(
      fc.property(fc.oneof(urlLike, fc.webUrl(), fc.string({ unit: "binary" })), (input) => {
        const url = unlessRefused(() => parseApiUrl(input));
        if (url === undefined) return;
        expect(parseApiUrl(url.href)).toEqual(url);
        const standard = new URL(url.href);
        expect(standard.hostname).toBe(url.host);
        expect(standard.origin).toBe(url.origin);
        expect(standard.pathname).toBe(url.path || "/");
        expect(standard.search + standard.hash + standard.username + standard.password).toBe("");
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("an API URL in development", () => {
  const parse = (input: string) => parseApiUrl(input, { allowInsecure: true });

  it.each([
    ["http://127.0.0.1:4274", "http", "127.0.0.1", 4274],
    ["http://127.255.255.254", "http", "127.255.255.254", 80],
    ["https://127.0.0.1", "https", "127.0.0.1", 443],
    ["http://[::1]:4274", "http", "::1", 4274],
    ["http://localhost:4274", "http", "localhost", 4274],
    ["http://acme.test:4274", "http", "acme.test", 4274],
  ])("may be %s", (input, scheme, host, port) => {
    expect(parse(input)).toEqual({ href: input, origin: input, scheme, host, port, path: "" });
  });

  it.each([
    "ftp://127.0.0.1",
    "http://127.1",
    "http://0177.0.0.1",
    "http://10.0.0.1:8080",
    "http://192.0.2.1:8080",
    "http://[::]",
    "http://[::2]:8080",
    "http://[::ffff:127.0.0.1]:8080",
    "http://[127.0.0.1]:8080",
    "http://intranet:8080",
    "http://127.0.0.1:443",
    "http://user@127.0.0.1",
  ])("may not be %s", (input) => {
    expect(refusal(() => parse(input)).reason).toBe("API_URL_INVALID");
  });
});

const urlLike = fc
  .tuple(
    fc.constantFrom("https://", "HTTPS://", "https:/", "https:\\\\"),
    fc.string({ unit: fc.constantFrom(..."abz09.-[]:@%\\"), minLength: 1, maxLength: 8 }),
    fc.constantFrom(".example", ".example:8443", ".example:443", ".1", ""),
    fc.string({ unit: fc.constantFrom(..."/a.%2eE?#;\\~"), maxLength: 10 }),
  )
  .map(([scheme, label, rest, path]) => `${scheme}${label}${rest}${path && `/${path}`}`);
