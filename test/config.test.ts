import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  ConfigError,
  type ConfigSources,
  describeOptions,
  loadConfig,
  readConfigFile,
} from "../src/config.ts";

const HOME = { HOME: "/home/alice" };
const load = (sources: ConfigSources) => loadConfig({ ...sources, env: { ...HOME, ...sources.env } });
const withFlags = (flags: Record<string, unknown>) => load({ flags: { domain: "acme.example", ...flags } });

function refusal(sources: ConfigSources): string {
  try {
    loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("the configuration was taken");
}

describe("bad configuration", () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ["no domain", { domain: undefined }, /^--domain: name the domain/],
    ["a domain that is none", { domain: "-" }, /^--domain: .*acme\.example/],
    ["an address without a port", { listen: "127.0.0.1" }, /^--listen: .*host and a port/],
    ["a port that is none", { listen: "127.0.0.1:65536" }, /^--listen/],
    ["IPv6 without brackets", { listen: "::1:80" }, /^--listen/],
    ["an API URL in cleartext", { apiUrl: "http://acme.example/api" }, /^--api-url: .*https/],
    ["no workers", { workers: "0" }, /^--workers: must be a whole number from 1/],
    [
      "workers that each had a database of their own",
      { workers: "2", database: "sqlite::memory:" },
      /^--workers: .*memory/,
    ],
    ["a certificate without its key", { tlsCert: "a.pem" }, /^--tls-key: missing/],
    ["a key without its certificate", { tlsKey: "a.pem" }, /^--tls-cert: missing/],
    ["a database of another kind", { database: "mysql://x" }, /^--database: must be sqlite/],
    ["an unknown choice", { registration: "invite" }, /^--registration: must be one of open, closed/],
    [
      "a difficulty above the protocol's",
      { creationDifficulty: "268435457" },
      /^--creation-difficulty: .*268435456/,
    ],
    ["a number with a unit", { maxAccountBytes: "1G" }, /^--max-account-bytes: must be a whole number/],
    ["zero", { maxBatchLookups: "0" }, /^--max-batch-lookups/],
    ["a network that is none", { allowNetwork: ["10.0.0.1/8"] }, /^--allow-network: .*10\.1\.0\.0\/16/],
    ["a switch that is neither", { dev: "maybe" }, /^--dev: must be true or false/],
    [
      "a resolution without --dev",
      { resolve: ["b.test=http://127.0.0.1:1"] },
      /^--resolve: only for development/,
    ],
    ["a resolution that is none", { dev: true, resolve: ["b.test"] }, /^--resolve: /],
    ["--dev for everyone", { dev: true, listen: "0.0.0.0:4273" }, /^--dev: only on a loopback listener/],
    [
      "two values where one belongs",
      { listen: ["127.0.0.1:1", "127.0.0.1:2"] },
      /^--listen: takes one value/,
    ],
    ["an object", { listen: { host: "x" } }, /^--listen: must be a text/],
    ["a small burst", { lookupBurst: 10 }, /^--lookup-burst: must not be below/],
    [
      "envelopes that fit no request",
      { maxRequestBytes: 300_000, maxAnonymousRequestBytes: 1 },
      /^--max-envelope-bytes/,
    ],
    [
      "anonymous requests above all others",
      { maxAnonymousRequestBytes: 5_000_000 },
      /^--max-anonymous-request-bytes/,
    ],
  ])("refuses %s by the option's name, and says what to write", (_, flags, message) => {
    expect(refusal({ flags: { domain: "acme.example", ...flags }, env: HOME })).toMatch(message);
  });

  it("names the place that a value comes from", () => {
    expect(refusal({ env: { ...HOME, KEYPEARS_LISTEN: "x" } })).toMatch(/^KEYPEARS_LISTEN: |^--domain/);
    expect(refusal({ flags: { domain: "acme.example" }, env: { ...HOME, KEYPEARS_LISTEN: "x" } })).toMatch(
      /^KEYPEARS_LISTEN: /,
    );
    expect(refusal({ file: { domain: "acme.example", listen: "x" }, env: HOME })).toMatch(
      /^"listen" in the configuration file: /,
    );
  });

  it("refuses a key in the file that is no option's, camel case too", () => {
    expect(refusal({ file: { domain: "acme.example", lisen: "x" } })).toMatch(/unknown key: lisen/);
    expect(refusal({ file: { domain: "acme.example", tlsCert: "x" } })).toMatch(/unknown key: tlsCert/);
    expect(refusal({ file: JSON.parse('{"domain": "acme.example", "__proto__": 1}') })).toMatch(
      /unknown key: __proto__/,
    );
  });

  it("asks for a folder where there is no home", () => {
    expect(refusal({ flags: { domain: "acme.example" }, env: {} })).toMatch(/^--data-dir: there is no home/);
  });

  it("never repeats a database URL", () => {
    expect(
      refusal({ flags: { domain: "acme.example", database: "postgres://u:hunter2@[" }, env: HOME }),
    ).not.toContain("hunter2");
  });
});

describe("a configuration", () => {
  it("has safe defaults", () => {
    const config = withFlags({});
    expect(config).toMatchObject({
      domains: ["acme.example"],
      apiUrl: "https://acme.example/api",
      listen: { host: "127.0.0.1", port: 4273 },
      tls: undefined,
      database: "sqlite:/home/alice/.local/state/keypears/acme.example/node.sqlite",
      registrationOpen: false,
      development: false,
      logLevel: "info",
      requirePostQuantum: false,
      requireProvenDomains: false,
      dnsServers: [],
      warnings: [],
    });
    expect(config.limits).toMatchObject({
      maxRequestBytes: 4_194_304,
      lookupsPerSecond: 50,
      lookupBurst: 200,
    });
  });

  it("names DNS servers by their addresses, with the port of DNS unless there is another", () => {
    const dnsServer = ["192.0.2.53", "192.0.2.53:5353", "2001:db8::1", "[2001:db8::1]:54", "[::1]"];
    expect(withFlags({ dnsServer }).dnsServers).toEqual([
      "192.0.2.53:53",
      "192.0.2.53:5353",
      "[2001:db8::1]:53",
      "[2001:db8::1]:54",
      "[::1]:53",
    ]);
    for (const wrong of [
      "dns.example",
      "192.0.2.53:0",
      "192.0.2.53:65536",
      "192.0.2",
      "[192.0.2.53]:53",
      "::1:x",
      "",
    ]) {
      expect(refusal({ flags: { domain: "acme.example", "dns-server": [wrong] }, env: HOME })).toMatch(
        /^--dns-server: must be an IP address/,
      );
    }
  });

  it("has one process unless told otherwise, and on request one for each core", () => {
    expect(withFlags({}).workers).toBe(1);
    expect(withFlags({ workers: "3" }).workers).toBe(3);
    expect(withFlags({ workers: "auto" }).workers).toBe(availableParallelism());
  });

  it("prefers flags to the environment, that to the file, and that to defaults", () => {
    const file = { domain: "file.example", "log-level": "warn", "lookup-burst": 300, "max-key-sets": 50 };
    const env = { KEYPEARS_LOG_LEVEL: "error", KEYPEARS_LOOKUP_BURST: "400" };
    const config = load({ file, env, flags: { lookupBurst: 500, "log-format": "json" } });
    expect(config.domains).toEqual(["file.example"]);
    expect(config.limits).toMatchObject({ maxKeySets: 50, lookupBurst: 500 });
    expect([config.logLevel, config.logFormat]).toEqual(["error", "json"]);
  });

  it("takes an empty environment variable as none", () => {
    expect(load({ flags: { domain: "acme.example" }, env: { KEYPEARS_LISTEN: "" } }).listen.port).toBe(4273);
  });

  it("takes lists from every source, not mixed", () => {
    const file = { domain: "acme.example", "allow-network": ["10.0.0.0/8", "fd00::/8"] };
    expect(load({ file }).allowedNetworks).toHaveLength(2);
    expect(
      load({ file, env: { KEYPEARS_ALLOW_NETWORK: "10.1.0.0/16, 10.2.0.0/16,10.3.0.0/16" } }).allowedNetworks,
    ).toHaveLength(3);
    expect(load({ file, flags: { allowNetwork: ["10.9.0.0/16"] } }).allowedNetworks).toHaveLength(1);
  });

  it("hosts several domains in canonical form, the first one naming it", () => {
    const config = withFlags({ domain: ["Bücher.example", "acme.example"] });
    expect(config.domains).toEqual(["xn--bcher-kva.example", "acme.example"]);
    expect(config.apiUrl).toBe("https://xn--bcher-kva.example/api");
  });

  it("reads brackets around IPv6", () => {
    expect(withFlags({ listen: "[::1]:0" }).listen).toEqual({ host: "::1", port: 0 });
  });

  it("opens registration and leaves the API URL to the port under development, with a warning", () => {
    const config = withFlags({ dev: true, resolve: ["partner.test=http://127.0.0.1:4274"] });
    expect(config).toMatchObject({ development: true, registrationOpen: true, apiUrl: undefined });
    expect(config.resolve.get("partner.test")?.port).toBe("4274");
    expect(config.warnings.join()).toMatch(/development mode/);
    expect(withFlags({ dev: true, registration: "closed" }).registrationOpen).toBe(false);
  });

  it("warns of a password in a flag, and of cleartext for everyone", () => {
    const database = "postgres://node:hunter2@db.example/keypears";
    expect(withFlags({ database }).warnings.join()).toMatch(/password in --database/);
    expect(
      load({ flags: { domain: "acme.example" }, env: { KEYPEARS_DATABASE: database } }).warnings,
    ).toEqual([]);
    expect(withFlags({ listen: "0.0.0.0:80" }).warnings.join()).toMatch(/cleartext/);
    expect(withFlags({ listen: "0.0.0.0:443", tlsCert: "a", tlsKey: "b" }).warnings).toEqual([]);
  });
});

describe("a configuration file", () => {
  const folder = mkdtempSync(join(tmpdir(), "keypears-config-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (text: string, mode = 0o600) => {
    const path = join(folder, "config.json");
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };

  it.each(["", "{", "[]", "null", '"x"', '{"database": "postgres://u:hunter2@h/d"'])(
    "refuses the text %s without quoting it",
    (text) => {
      const read = () => readConfigFile(write(text));
      expect(read).toThrow(/no JSON object such as/);
      expect(read).not.toThrow(/hunter2/);
    },
  );

  it("refuses a file that is not there", () => {
    expect(() => readConfigFile(join(folder, "missing.json"))).toThrow(/^--config: .*ENOENT/);
  });

  it("warns when others can read a password in it", () => {
    const text = '{"database": "postgres://u:hunter2@h/d"}';
    expect(readConfigFile(write(text, 0o644)).warnings.join()).toMatch(/chmod 600/);
    expect(readConfigFile(write(text, 0o600)).warnings).toEqual([]);
    expect(readConfigFile(write('{"domain": "acme.example"}', 0o644))).toEqual({
      options: { domain: "acme.example" },
      warnings: [],
    });
  });
});

describe("help", () => {
  it("describes every option by name, variable and example, and each example is taken", () => {
    const options = describeOptions();
    expect(new Set(options.map(({ env }) => env)).size).toBe(options.length);
    for (const { name, env, help, example, repeatable } of options) {
      expect([name, env, help]).toEqual([
        expect.stringMatching(/^[a-z-]+$/),
        expect.stringMatching(/^KEYPEARS_[A-Z_]+$/),
        expect.stringMatching(/^[^A-Z$].*[^.]$/),
      ]);
      const companions = {
        dev: name === "resolve",
        ...(name === "tls-cert" && { "tls-key": "x" }),
        ...(name === "tls-key" && { "tls-cert": "x" }),
      };
      const value = repeatable ? [example] : example;
      expect(() => withFlags({ ...companions, [name]: value })).not.toThrow();
    }
  });
});
