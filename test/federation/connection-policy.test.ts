import type { LookupAddress, LookupOptions } from "node:dns";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AddressLookup,
  type ConnectionPolicy,
  createConnectionPolicy,
} from "../../src/federation/connection-policy.ts";
import { parseResolveOption } from "../../src/federation/development-resolution.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { isGloballyReachable, parseCidr } from "../../src/protocol/ip-policy.ts";

const PUBLIC: LookupAddress = { address: "93.184.216.34", family: 4 };
const PUBLIC_V6: LookupAddress = { address: "2606:2800:220:1::1", family: 6 };

function answering(...addresses: readonly LookupAddress[]): AddressLookup {
  return (_host, _options, callback) => process.nextTick(callback, null, [...addresses]);
}

function failing(code: string): AddressLookup {
  const error = Object.assign(new Error(`getaddrinfo ${code}`), { code });
  return (_host, _options, callback) => process.nextTick(callback, error, []);
}

function policyWith(lookup: AddressLookup): ConnectionPolicy {
  return createConnectionPolicy({ allowedNetworks: [], development: undefined, lookup });
}

/** Asks the policy as Node's sockets do. */
function lookUp(policy: ConnectionPolicy, host: string, options: LookupOptions = { all: true }) {
  return new Promise<unknown>((resolve, reject) => {
    policy.lookup(host, options as never, (error, address, family) => {
      if (error) reject(error);
      else resolve(options.all === true ? address : { address, family });
    });
  });
}

describe("a look-up", () => {
  it.each([
    "127.0.0.1",
    "10.1.2.3",
    "169.254.169.254",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "224.0.0.1",
    "not an address",
  ])("that gives only %s is refused, without saying where it led", async (address) => {
    const policy = policyWith(answering({ address, family: address.includes(":") ? 6 : 4 }));
    const error = await lookUp(policy, "evil.test").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PeerError);
    expect(error).toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN", domain: "evil.test", retryable: false });
    expect((error as PeerError).message).toContain("evil.test");
    expect((error as PeerError).message).not.toContain(address);
  });

  it("that gives no address at all is refused", async () => {
    await expect(lookUp(policyWith(answering()), "evil.test")).rejects.toMatchObject({
      reason: "PEER_ADDRESS_FORBIDDEN",
    });
  });

  it("that mixes public and private addresses hands on the public ones only", async () => {
    const policy = policyWith(
      answering({ address: "10.0.0.1", family: 4 }, PUBLIC, { address: "::1", family: 6 }, PUBLIC_V6),
    );
    expect(await lookUp(policy, "mixed.test")).toEqual([PUBLIC, PUBLIC_V6]);
    expect(await lookUp(policy, "mixed.test", {})).toEqual({ address: PUBLIC.address, family: 4 });
  });

  it("never hands on an address that is not globally reachable, whatever DNS answers", async () => {
    const address = fc.oneof(
      fc.ipV4().map((text) => ({ address: text, family: 4 })),
      fc.ipV6().map((text) => ({ address: text, family: 6 })),
      fc.constant(PUBLIC),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(address, { maxLength: 8 }), async (addresses) => {
        const given = await lookUp(policyWith(answering(...addresses)), "any.test").catch(() => []);
        expect(given).toEqual(addresses.filter((each) => isGloballyReachable(each.address)));
      }),
    );
  });

  it("tells a name that does not exist from a DNS server that does not answer", async () => {
    await expect(lookUp(policyWith(failing("ENOTFOUND")), "gone.test")).rejects.toMatchObject({
      reason: "PEER_UNREACHABLE",
      message: "gone.test does not exist in DNS",
    });
    await expect(lookUp(policyWith(failing("EAI_AGAIN")), "gone.test")).rejects.toMatchObject({
      reason: "PEER_UNREACHABLE",
      retryable: true,
      message: "looking up gone.test in DNS failed",
    });
  });

  it("gives addresses in ranges that the operator allows", async () => {
    const lookup = answering({ address: "10.7.0.1", family: 4 }, { address: "10.8.0.1", family: 4 });
    const policy = createConnectionPolicy({
      allowedNetworks: [parseCidr("10.7.0.0/16")],
      development: undefined,
      lookup,
    });
    expect(await lookUp(policy, "inside.test")).toEqual([{ address: "10.7.0.1", family: 4 }]);
  });
});

describe("without development resolution", () => {
  const policy = policyWith(answering(PUBLIC));

  it.each(["127.0.0.1", "::1", "10.0.0.1", "93.184.216.34", "2606:2800:220:1::1"])(
    "the IP literal %s is refused, since no look-up would check it",
    (host) => {
      expect(() => policy.checkTarget("https", host)).toThrow("a DNS name is needed");
    },
  );

  it("cleartext is refused", () => {
    expect(() => policy.checkTarget("http", "acme.test")).toThrow("cleartext is refused");
    expect(() => policy.checkTarget("https", "acme.test")).not.toThrow();
  });

  it("localhost is no way to loopback", async () => {
    const local = policyWith(answering({ address: "127.0.0.1", family: 4 }));
    await expect(lookUp(local, "localhost")).rejects.toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(local.allowsAddress("localhost", "127.0.0.1")).toBe(false);
  });
});

describe("development resolution", () => {
  const development = new Map([
    parseResolveOption("acme.test=http://127.0.0.1:4274"),
    parseResolveOption("six.test=http://[::1]:4274"),
    parseResolveOption("named.test=http://localhost:4274"),
    parseResolveOption("inside.test=http://10.0.0.1:4274"),
  ]);
  const policy = createConnectionPolicy({
    allowedNetworks: [],
    development,
    lookup: (host, _options, callback) => {
      const address = host === "localhost" || host === "evil.test" ? "127.0.0.1" : PUBLIC.address;
      process.nextTick(callback, null, [{ address, family: 4 }]);
    },
  });

  it("leads mapped names to where the operator said", async () => {
    expect(await lookUp(policy, "acme.test")).toEqual([{ address: "127.0.0.1", family: 4 }]);
    expect(await lookUp(policy, "six.test")).toEqual([{ address: "::1", family: 6 }]);
    expect(await lookUp(policy, "named.test")).toEqual([{ address: "127.0.0.1", family: 4 }]);
    expect(await lookUp(policy, "other.test")).toEqual([PUBLIC]);
  });

  it("opens loopback to mapped names only", async () => {
    await expect(lookUp(policy, "evil.test")).rejects.toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
  });

  it("opens loopback only, not the private network around it", async () => {
    await expect(lookUp(policy, "inside.test")).rejects.toMatchObject({ reason: "PEER_ADDRESS_FORBIDDEN" });
    expect(() => policy.checkTarget("http", "10.0.0.1")).toThrow("cleartext is refused");
    expect(() => policy.checkTarget("https", "10.0.0.1")).toThrow("a DNS name is needed");
  });

  it("allows cleartext to mapped names and loopback, and to nobody else", () => {
    for (const host of ["acme.test", "localhost", "127.0.0.1", "::1"]) {
      expect(() => policy.checkTarget("http", host)).not.toThrow();
    }
    expect(() => policy.checkTarget("http", "other.test")).toThrow("cleartext is refused");
  });
});
