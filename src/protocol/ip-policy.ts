// Where a node may connect on somebody's word (docs/protocol.md section 2): only globally reachable unicast addresses by
// the IANA special-purpose address registries (RFC 6890 and its successors, as of 2025), so that a stranger's domain
// cannot make this node talk to its own network. Also the prefixes by which callers' budgets are counted (6.3). Pure
// functions over the text of addresses; nothing is looked up here.

import ipaddr from "ipaddr.js";
import { ProtocolError } from "./errors.ts";

/** A range of addresses; {@link parseCidr} makes it. */
export interface CidrRange {
  /** Network address: 4 bytes for IPv4, 16 for IPv6. */
  readonly network: readonly number[];
  /** Prefix length in bits. */
  readonly prefix: number;
}

const IPV4_BYTES = 4;
const IPV4_SOURCE_PREFIX_BITS = 24;
const IPV6_SOURCE_PREFIX_BITS = 56;
const MAX_IP_TEXT = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".length;

/** One row of a registry: a range, and whether its "Globally Reachable" column says True. */
type RegistryRow = readonly [range: string, globallyReachable: boolean];

// https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast from
// https://www.iana.org/assignments/multicast-addresses. What stands in no row is globally reachable; of several rows the
// longest prefix decides. "N/A" counts as no.
const IPV4_REGISTRY = registry([
  ["0.0.0.0/8", false], // "this network", RFC 791
  ["10.0.0.0/8", false], // private use, RFC 1918
  ["100.64.0.0/10", false], // shared address space, RFC 6598
  ["127.0.0.0/8", false], // loopback, RFC 1122
  ["169.254.0.0/16", false], // link local, RFC 3927
  ["172.16.0.0/12", false], // private use, RFC 1918
  ["192.0.0.0/24", false], // IETF protocol assignments, RFC 6890
  ["192.0.0.9/32", true], // port control protocol anycast, RFC 7723
  ["192.0.0.10/32", true], // TURN anycast, RFC 8155
  ["192.0.2.0/24", false], // documentation, RFC 5737
  ["192.88.99.0/24", false], // deprecated 6to4 relay anycast, RFC 7526
  ["192.168.0.0/16", false], // private use, RFC 1918
  ["198.18.0.0/15", false], // benchmarking, RFC 2544
  ["198.51.100.0/24", false], // documentation, RFC 5737
  ["203.0.113.0/24", false], // documentation, RFC 5737
  ["224.0.0.0/4", false], // multicast, RFC 5771
  ["240.0.0.0/4", false], // reserved, with the limited broadcast address, RFC 1112
]);

// https://www.iana.org/assignments/iana-ipv6-special-registry, within 2000::/3. IANA has given out no other space for
// global unicast (RFC 4291 §2.4), so nothing outside it is reachable: unspecified, loopback, 64:ff9b:1::/48, 100::/64,
// 100:0:0:1::/64, 5f00::/16, fc00::/7, fe80::/10, fec0::/10 and ff00::/8 need no rows.
const IPV6_REGISTRY = registry([
  ["::/0", false],
  ["2000::/3", true], // global unicast, RFC 4291
  ["2001::/23", false], // IETF protocol assignments, RFC 2928; Teredo (RFC 4380) among them
  ["2001:1::1/128", true], // port control protocol anycast, RFC 7723
  ["2001:1::2/128", true], // TURN anycast, RFC 8155
  ["2001:1::3/128", true], // DNS-SD service registration protocol anycast, RFC 9665
  ["2001:3::/32", true], // AMT, RFC 7450
  ["2001:4:112::/48", true], // AS112-v6, RFC 7535
  ["2001:20::/28", true], // ORCHIDv2, RFC 7343
  ["2001:30::/28", true], // drone remote identification, RFC 9374
  ["2001:db8::/32", false], // documentation, RFC 3849
  ["3fff::/20", false], // documentation, RFC 9637
]);

const LOOPBACK = [parseRange("127.0.0.0/8"), parseRange("::1/128")]; // RFC 1122 §3.2.1.3, RFC 4291 §2.5.3

// IPv6 ranges whose addresses are an IPv4 address in disguise, and at which byte it stands in them.
const IPV4_MAPPED = { ...parseRange("::ffff:0:0/96"), offset: 12 }; // RFC 4291 §2.5.5.2
const IPV4_EMBEDDING = [
  IPV4_MAPPED,
  { ...parseRange("64:ff9b::/96"), offset: 12 }, // NAT64 well-known prefix, RFC 6052
  { ...parseRange("2002::/16"), offset: 2 }, // 6to4, RFC 3056
];

/**
 * Whether `ip` is an address that a node may connect to on a stranger's word: globally reachable unicast, and so is the
 * IPv4 address within it where it is IPv4-mapped, NAT64 (64:ff9b::/96) or 6to4 (2002::/16). False also for what is no
 * address: anything but four plain decimals or RFC 4291 text, and anything with a zone.
 */
export function isGloballyReachable(ip: string): boolean {
  const bytes = parseIp(ip);
  if (bytes === undefined) return false;
  const embedding = IPV4_EMBEDDING.find((range) => contains(range, bytes));
  if (embedding === undefined) return reachableByRegistry(bytes);
  return reachableByRegistry(bytes.slice(embedding.offset, embedding.offset + IPV4_BYTES));
}

/** Whether `ip` is a loopback address: 127.0.0.0/8, ::1, or the former IPv4-mapped. False for what is no address. */
export function isLoopback(ip: string): boolean {
  return inRanges(ip, LOOPBACK);
}

/**
 * Reads a range as an operator writes it: `10.0.0.0/8`, `fd00::/8`, or a single address.
 *
 * @throws ProtocolError `CIDR_INVALID` for what is no range, has bits set beyond its prefix, or is IPv4 in IPv6 clothes.
 */
export function parseCidr(text: string): CidrRange {
  const range = parseRange(text);
  if (contains(IPV4_MAPPED, range.network) && range.prefix >= IPV4_MAPPED.prefix) {
    throw invalidCidr("an IPv4-mapped range must be written as the IPv4 range that it stands for");
  }
  return range;
}

/**
 * Whether `ip` lies in one of `ranges`. An IPv4-mapped address is taken as the IPv4 address that it reaches; NAT64 and
 * 6to4 are not, since allowing a network does not allow the gateways to it. False for what is no address.
 */
export function inRanges(ip: string, ranges: readonly CidrRange[]): boolean {
  const parsed = parseIp(ip);
  if (parsed === undefined) return false;
  const bytes = unmapped(parsed);
  return ranges.some((range) => contains(range, bytes));
}

/**
 * The prefix by which an unauthenticated caller is counted: /24 for IPv4 (IPv4-mapped too), /56 for IPv6. A zone is
 * dropped, since it belongs to this machine and not to the caller.
 *
 *     sourcePrefix("::ffff:192.0.2.7") === "192.0.2.0/24"
 *
 * @throws ProtocolError `IP_INVALID` for what is no IP address.
 */
export function sourcePrefix(ip: string): string {
  const parsed = parseIp(ip.replace(/%.*$/s, ""));
  if (parsed === undefined) throw new ProtocolError("IP_INVALID", "not an IP address");
  const bytes = unmapped(parsed);
  const prefix = bytes.length === IPV4_BYTES ? IPV4_SOURCE_PREFIX_BITS : IPV6_SOURCE_PREFIX_BITS;
  const network = bytes.map((byte, index) => byte & maskByte(prefix, index));
  return `${ipaddr.fromByteArray(network).toString()}/${prefix}`;
}

// ipaddr.js reads more than sockets do: octal and hexadecimal parts, missing parts, and `::1.2.3.4` as if it were
// IPv4-mapped. What it would read otherwise than the operating system is refused before it is asked.
function parseIp(text: string): readonly number[] | undefined {
  if (text.length > MAX_IP_TEXT || text.includes("%")) return undefined;
  const dotted = text.slice(text.lastIndexOf(":") + 1);
  if (dotted.includes(".") && !ipaddr.IPv4.isValidFourPartDecimal(dotted)) return undefined;
  if (dotted === text) return dotted.includes(".") ? ipaddr.IPv4.parse(text).toByteArray() : undefined;
  if (text === `::${dotted}` && dotted.includes(".")) return undefined;
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text).toByteArray() : undefined;
}

function parseRange(text: string): CidrRange {
  const [address = "", prefixText, ...more] = text.split("/");
  const network = parseIp(address);
  if (network === undefined || more.length > 0)
    throw invalidCidr("not an IP address range such as 10.0.0.0/8");
  const bits = network.length * 8;
  const prefix = prefixText === undefined ? bits : parsePrefix(prefixText, bits);
  if (network.some((byte, index) => (byte & ~maskByte(prefix, index)) !== 0)) {
    throw invalidCidr("range has bits set beyond its prefix length");
  }
  return { network, prefix };
}

function parsePrefix(text: string, bits: number): number {
  const prefix = /^(?:0|[1-9][0-9]{0,2})$/.test(text) ? Number(text) : Number.NaN;
  if (!(prefix <= bits)) throw invalidCidr(`prefix length must be a number from 0 to ${bits}`);
  return prefix;
}

function reachableByRegistry(bytes: readonly number[]): boolean {
  const rows = bytes.length === IPV4_BYTES ? IPV4_REGISTRY : IPV6_REGISTRY;
  return rows.find((row) => contains(row.range, bytes))?.globallyReachable ?? true;
}

/** Rows with the longest prefix first, so that the first match is the one that decides. */
function registry(rows: readonly RegistryRow[]) {
  return rows
    .map(([range, globallyReachable]) => ({ range: parseRange(range), globallyReachable }))
    .sort((a, b) => b.range.prefix - a.range.prefix);
}

/** The byte at `index` of the netmask of `prefix` bits. */
function maskByte(prefix: number, index: number): number {
  const bits = Math.min(Math.max(prefix - 8 * index, 0), 8);
  return (0xff00 >> bits) & 0xff;
}

function contains(range: CidrRange, bytes: readonly number[]): boolean {
  return (
    range.network.length === bytes.length &&
    range.network.every((byte, index) => ((byte ^ (bytes[index] ?? 0)) & maskByte(range.prefix, index)) === 0)
  );
}

function unmapped(bytes: readonly number[]): readonly number[] {
  return contains(IPV4_MAPPED, bytes) ? bytes.slice(IPV4_MAPPED.offset) : bytes;
}

function invalidCidr(message: string): ProtocolError {
  return new ProtocolError("CIDR_INVALID", message, { field: "cidr" });
}
