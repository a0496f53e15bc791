import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  inRanges,
  isGloballyReachable,
  isLoopback,
  parseCidr,
  sourcePrefix,
} from "../../src/protocol/ip-policy.ts";
import { refusal, unlessRefused } from "./refusal.ts";

// First and last address of every range that the registries do not call globally reachable.
const UNREACHABLE_IPV4 = [
  ["0.0.0.0", "0.255.255.255"],
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["127.0.0.0", "127.255.255.255"],
  ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.0.0.0", "192.0.0.8", "192.0.0.11", "192.0.0.170", "192.0.0.255"],
  ["192.0.2.0", "192.0.2.255"],
  ["192.88.99.0", "192.88.99.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["198.18.0.0", "198.19.255.255"],
  ["198.51.100.0", "198.51.100.255"],
  ["203.0.113.0", "203.0.113.255"],
  ["224.0.0.0", "239.255.255.255"],
  ["240.0.0.0", "255.255.255.254", "255.255.255.255"],
].flat();

// Their neighbours on either side, and the registries' exceptions.
const REACHABLE_IPV4 = [
  ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
  [
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.0.9",
    "192.0.0.10",
  ],
  [
    "192.0.1.0",
    "192.0.3.0",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
  ],
  [
    "192.169.0.0",
    "192.175.48.1",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
  ],
  ["203.0.114.0", "223.255.255.255", "8.8.8.8"],
].flat();

const UNREACHABLE_IPV6 = [
  [
    "::",
    "::1",
    "::2",
    "100::",
    "100:0:0:1::",
    "64:ff9b:1::",
    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "64:ff9b:0:0:0:1::",
  ],
  [
    "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "4000::",
    "5f00::",
    "8000::",
    "fc00::",
    "fdff::1",
    "fe80::1",
    "fec0::1",
  ],
  [
    "ff02::1",
    "ff0e::1",
    "2001::1",
    "2001:1::",
    "2001:1::4",
    "2001:2::",
    "2001:2:0:ffff::",
    "2001:4:111:ffff::",
  ],
  [
    "2001:4:113::",
    "2001:10::",
    "2001:1f:ffff::",
    "2001:40::",
    "2001:1ff:ffff::",
    "2001:db8::",
    "2001:db8:ffff::1",
  ],
  ["3fff::", "3fff:fff:ffff::"],
].flat();

const REACHABLE_IPV6 = [
  ["2000::", "2001:200::", "2001:1::1", "2001:1::2", "2001:1::3", "2001:3::1", "2001:4:112::1", "2001:20::1"],
  [
    "2001:3f:ffff::",
    "2001:db7:ffff::",
    "2001:db9::",
    "2606:4700:4700::1111",
    "2620:4f:8000::1",
    "3ffe:ffff::",
  ],
  ["3fff:1000::", "2606:4700:0:0:0:0:1.2.3.4"],
].flat();

const hex = (ip: string) => ip.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
const disguises: ReadonlyArray<readonly [string, (ip: string) => string]> = [
  ["IPv4-mapped, dotted", (ip) => `::ffff:${ip}`],
  [
    "IPv4-mapped, hexadecimal",
    (ip) => `0:0:0:0:0:FFFF:${hex(ip).slice(0, 2).join("")}:${hex(ip).slice(2).join("")}`,
  ],
  ["NAT64", (ip) => `64:ff9b::${ip}`],
  ["6to4", (ip) => `2002:${hex(ip).slice(0, 2).join("")}:${hex(ip).slice(2).join("")}::1`],
];

describe("where a node may connect", () => {
  it.each(
    [
      [
        "",
        "localhost",
        "host.example",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "8.8.8.8 ",
        " 8.8.8.8",
        "8.8.8.8\n",
      ],
      ["08.8.8.8", "010.8.8.8", "0x8.8.8.8", "134744072", "8.8.2056", "+8.8.8.8", "８.8.8.8", "8.8.8.8/32"],
      [
        "[2606:4700::1]",
        "2606:4700::1%eth0",
        "2606:4700:::1",
        "2606:4700::1::",
        "2606:4700",
        "26064:4700::1",
      ],
      ["::ffff:010.8.8.8", "::ffff:0x8.8.8.8", "::8.8.8.8", "::ffff:8.8.8", "1:2:3:4:5:6:7:8:9", ":"],
      [`${"0".repeat(100)}::1`],
    ].flat(),
  )("is not what is no address in plain text: %j", (text) => {
    expect(isGloballyReachable(text)).toBe(false);
  });

  it.each(UNREACHABLE_IPV4)("is not %s, in no disguise", (ip) => {
    expect(isGloballyReachable(ip)).toBe(false);
    for (const [, disguise] of disguises) expect(isGloballyReachable(disguise(ip))).toBe(false);
  });

  it.each(UNREACHABLE_IPV6)("is not %s", (ip) => {
    expect(isGloballyReachable(ip)).toBe(false);
  });

  it.each(REACHABLE_IPV4)("is %s, also as an IPv6 address that carries it", (ip) => {
    expect(isGloballyReachable(ip)).toBe(true);
    for (const [, disguise] of disguises) expect(isGloballyReachable(disguise(ip))).toBe(true);
  });

  it.each(REACHABLE_IPV6)("is %s", (ip) => {
    expect(isGloballyReachable(ip)).toBe(true);
  });

  it("does not depend on the disguise of an IPv4 address", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.constantFrom(...disguises), (ip, [, disguise]) => {
        expect(isGloballyReachable(disguise(ip))).toBe(isGloballyReachable(ip));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is decided for any text without throwing, and never outside 2000::/3 but for embedded IPv4", () => {
    const unicast = [parseCidr("2000::/3"), parseCidr("64:ff9b::/96"), parseCidr("0.0.0.0/0")];
    fc.assert(
      fc.property(fc.oneof(fc.ipV6(), fc.ipV4Extended(), fc.string()), (text) => {
        if (isGloballyReachable(text)) expect(inRanges(text, unicast)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe("a loopback address", () => {
  it("is in 127.0.0.0/8 or ::1", () => {
    for (const ip of ["127.0.0.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"]) {
      expect(isLoopback(ip)).toBe(true);
    }
    for (const ip of ["", "localhost", "127.1", "128.0.0.1", "::", "::2", "::127.0.0.1", "::1%lo"]) {
      expect(isLoopback(ip)).toBe(false);
    }
  });
});

describe("a range", () => {
  it.each([
    ["", "not an IP address range such as 10.0.0.0/8"],
    ["lan", "not an IP address range such as 10.0.0.0/8"],
    ["10/8", "not an IP address range such as 10.0.0.0/8"],
    ["10.0.0.0/8/8", "not an IP address range such as 10.0.0.0/8"],
    ["fe80::%eth0/10", "not an IP address range such as 10.0.0.0/8"],
    ["10.0.0.0/", "prefix length must be a number from 0 to 32"],
    ["10.0.0.0/33", "prefix length must be a number from 0 to 32"],
    ["10.0.0.0/-1", "prefix length must be a number from 0 to 32"],
    ["10.0.0.0/08", "prefix length must be a number from 0 to 32"],
    ["10.0.0.0/255.0.0.0", "prefix length must be a number from 0 to 32"],
    ["fd00::/129", "prefix length must be a number from 0 to 128"],
    ["10.0.0.1/8", "range has bits set beyond its prefix length"],
    ["fd00::1/8", "range has bits set beyond its prefix length"],
    ["::ffff:10.0.0.0/104", "an IPv4-mapped range must be written as the IPv4 range that it stands for"],
    ["::ffff:10.0.0.1", "an IPv4-mapped range must be written as the IPv4 range that it stands for"],
  ])("%j is refused and told why", (text, message) => {
    expect(refusal(() => parseCidr(text))).toMatchObject({ reason: "CIDR_INVALID", field: "cidr", message });
  });

  it("holds its first and last address and not their neighbours", () => {
    const ranges = [parseCidr("10.32.0.0/11"), parseCidr("fd00:8000::/17"), parseCidr("192.0.2.7")];
    for (const ip of [
      "10.32.0.0",
      "10.63.255.255",
      "::ffff:10.32.0.1",
      "fd00:8000::",
      "fd00:ffff::1",
      "192.0.2.7",
    ]) {
      expect(inRanges(ip, ranges)).toBe(true);
    }
    for (const ip of [
      "10.31.255.255",
      "10.64.0.0",
      "fd00:7fff:ffff::",
      "fd01::",
      "192.0.2.6",
      "192.0.2.8",
      "lan",
      "",
    ]) {
      expect(inRanges(ip, ranges)).toBe(false);
    }
  });

  it("of IPv4 does not hold the NAT64 and 6to4 gateways to it, nor ::/0 any IPv4", () => {
    const ranges = [parseCidr("10.0.0.0/8")];
    expect(inRanges("64:ff9b::10.0.0.1", ranges)).toBe(false);
    expect(inRanges("2002:a00:1::1", ranges)).toBe(false);
    expect(inRanges("10.0.0.1", [parseCidr("::/0")])).toBe(false);
    expect(inRanges("64:ff9b::10.0.0.1", [parseCidr("64:ff9b::/96")])).toBe(true);
  });

  it("of prefix length 0 holds every address of its family", () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        expect(inRanges(ip, [parseCidr("0.0.0.0/0")])).toBe(true);
        expect(inRanges(ip, [parseCidr(ip)])).toBe(true);
      }),
    );
  });

  it("never makes the parser throw anything but a protocol error", () => {
    const text = fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: -1, max: 130 }));
    fc.assert(
      fc.property(
        fc.oneof(
          text.map(([ip, prefix]) => `${ip}/${prefix}`),
          fc.string({ unit: "binary" }),
        ),
        (input) => {
          unlessRefused(() => parseCidr(input));
        },
      ),
    );
  });
});

describe("a caller's source prefix", () => {
  it.each(["", "unknown", "1.2.3", "[::1]", "::1::", "%eth0"])("is not made of %j", (text) => {
    expect(refusal(() => sourcePrefix(text)).reason).toBe("IP_INVALID");
  });

  it.each([
    ["192.0.2.7", "192.0.2.0/24"],
    ["::ffff:192.0.2.200", "192.0.2.0/24"],
    ["2001:db8:1:2ff:3:4:5:6", "2001:db8:1:200::/56"],
    ["2001:DB8:1:0200::", "2001:db8:1:200::/56"],
    ["::1", "::/56"],
    ["fe80::1%eth0", "fe80::/56"],
  ])("of %s is %s", (ip, prefix) => {
    expect(sourcePrefix(ip)).toBe(prefix);
  });

  it("is a range that holds the caller, and the same for its neighbours in it", () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const prefix = unlessRefused(() => sourcePrefix(ip));
        if (prefix === undefined) return;
        expect(inRanges(ip, [parseCidr(prefix)])).toBe(true);
        expect(sourcePrefix(prefix.slice(0, prefix.indexOf("/")))).toBe(prefix);
      }),
    );
  });
});
