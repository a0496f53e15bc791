// What the tool says of a domain, in order and not, over real TLS and DNS, with what its profile remembers in between.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { toHex } from "../../src/crypto/bytes.ts";
import { DOMAIN_CHECKS } from "../../src/protocol/domain-check.ts";
import { domainKeyHash, generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { type DomainWorld, makeWorld } from "../federation/domain-world.ts";
import { makeTool } from "./tool.ts";

vi.setConfig({ testTimeout: 120_000 });

interface Found {
  readonly standing: string;
  readonly checks: readonly { readonly check: string; readonly outcome: string; readonly detail: string }[];
  readonly remembered: unknown;
  readonly ok: boolean;
}

/** A world in order, and the tool in it. */
async function start() {
  const world = await makeWorld({ now: Date.now() });
  const tool = makeTool();
  onTestFinished(() => tool.remove());
  const authority = join(tool.home, "authority.pem");
  writeFileSync(authority, world.authority);
  const env = {
    NODE_EXTRA_CA_CERTS: authority,
    KEYPEARS_DNS_SERVER: world.dns.address,
    KEYPEARS_RESOLVE: Object.entries(world.ports)
      .map(([name, port]) => `${name}=https://127.0.0.1:${port}`)
      .join(" "),
  };
  const discover = async (...args: string[]) => {
    world.clock.now = Date.now();
    const { code, stdout, stderr } = await tool.run(["discover", "acme.test", "--json", ...args], { env });
    const found = (stdout === "" ? undefined : JSON.parse(stdout)) as Found | undefined;
    const error = stderr === "" ? undefined : JSON.parse(stderr).error;
    const outcomes = Object.fromEntries(found?.checks.map(({ check, outcome }) => [check, outcome]) ?? []);
    return { code, found, error, outcomes };
  };
  return { world, tool, env, discover };
}

function swapKey(world: DomainWorld): string {
  const thief = generateCompositeKeyPair();
  world.site.document = world.documentOf(thief);
  world.host.consent = world.authorize({}, thief);
  world.publishTxt(thief);
  return toHex(domainKeyHash(thief.publicKey));
}

describe("discover", () => {
  it("shows every check of a domain in order, and what is remembered of it", async () => {
    const { world, tool, env, discover } = await start();
    const { code, found, outcomes } = await discover();
    expect(code).toBe(0);
    const passed = Object.fromEntries(
      [...DOMAIN_CHECKS, "tls", "node", "protocol", "clock"].map((name) => [name, "passed"]),
    );
    expect(outcomes).toEqual(passed);
    expect(found).toMatchObject({
      standing: "proven",
      ok: true,
      tlsGroup: "X25519MLKEM768",
      cacheSeconds: 300,
      remembered: { serial: 7, txtSeen: true, keyHash: world.documentOf(world.owner).domainPubKeyHash },
    });

    const { stdout } = await tool.run(["discover", "acme.test"], { env });
    expect(stdout).toContain("proven: its owner consents to this host");
    expect(stdout).toMatch(/remembered {2}proven .*, serial 7, with a TXT record/);
    expect(stdout.match(/✓/g)).toHaveLength(Object.keys(passed).length);
  });

  it("says what the owner has to mend, prints all of it, and remembers nothing", async () => {
    const { world, discover } = await start();
    world.publishTxt(generateCompositeKeyPair());
    world.host.consent = world.authorize({ apiUrl: "https://other.test/api" });
    const { code, found, error, outcomes } = await discover();
    expect(code).toBe(6);
    expect(error).toMatchObject({ reason: "DOMAIN_UNPROVEN", next: expect.stringContaining("owner") });
    expect(outcomes).toMatchObject({
      document: "passed",
      "api-url": "failed",
      dns: "failed",
      memory: "skipped",
    });
    expect(found).toMatchObject({ standing: "unproven", ok: false, remembered: null });
    const detail = found?.checks.find(({ check }) => check === "api-url")?.detail;
    expect(detail).toContain("https://other.test/api");
  });

  it("finds a downgrade by what an earlier run saw", async () => {
    const { world, discover } = await start();
    await discover();
    world.site.document = { version: 1, apiUrl: world.host.apiUrl };
    const { code, error, outcomes } = await discover();
    expect({ code, reason: error.reason }).toEqual({ code: 6, reason: "DOMAIN_DOWNGRADED" });
    expect(outcomes).toEqual(expect.objectContaining({ document: "passed", memory: "failed" }));
  });

  it("holds another key back until it is confirmed by its hash", async () => {
    const { world, discover } = await start();
    await discover();
    const hash = swapKey(world);
    const changed = await discover();
    expect({ code: changed.code, reason: changed.error.reason }).toEqual({
      code: 7,
      reason: "DOMAIN_CHANGED",
    });
    expect(changed.found?.remembered).toMatchObject({ pending: { keyHash: hash } });
    const wrong = await discover("--confirm-key", "00".repeat(32));
    expect({ code: wrong.code, reason: wrong.error.reason }).toEqual({
      code: 7,
      reason: "DOMAIN_KEY_MISMATCH",
    });
    const confirmed = await discover("--confirm-key", hash);
    expect(confirmed).toMatchObject({
      code: 0,
      found: { standing: "proven", remembered: { keyHash: hash } },
    });
  });

  it("tells what cannot be had from what is wrong", async () => {
    const { world, discover } = await start();
    world.dns.zone.set("_keypears.acme.test", "servfail");
    const { code, error, outcomes, found } = await discover();
    expect({ code, reason: error.reason }).toEqual({ code: 6, reason: "DISCOVERY_FAILED" });
    expect(outcomes).toMatchObject({ dns: "retry", authorization: "passed", proof: "passed" });
    expect(found?.remembered).toBeNull();
  });

  it("asks no DNS about names that only development resolution knows, unless a server is named", async () => {
    const { world, tool, env } = await start();
    const { KEYPEARS_DNS_SERVER: _, ...without } = env;
    world.clock.now = Date.now();
    const found = await tool.json<Found>(["discover", "acme.test"], { env: without });
    expect(found).toMatchObject({ standing: "proven", remembered: { txtSeen: false } });
    expect(world.dns.questions).toEqual([]);
  });

  it("trusts no memory that is damaged", async () => {
    const { tool, discover } = await start();
    await discover();
    const path = join(tool.home, "config", "keypears", "domains", "default.json");
    for (const text of [
      "{}",
      '{"version":1,"domains":{"acme.test":{"memory":{},"revision":1}}}',
      "no JSON",
    ]) {
      writeFileSync(path, text);
      const { code, error } = await discover();
      expect({ code, reason: error.reason }).toEqual({ code: 9, reason: "DOMAINS_INVALID" });
    }
  });

  it.each([
    [["--dns-server", "dns.example"], "--dns-server must be an IP address"],
    [["--confirm-key", "abc"], "--confirm-key must be the hash"],
  ])("refuses %j", async (args, words) => {
    const tool = makeTool();
    onTestFinished(() => tool.remove());
    const { code, stderr } = await tool.run(["discover", "acme.test", ...args]);
    expect(stderr).toContain(words);
    expect(code).toBe(2);
  });
});
