// Where this node may connect on a stranger's word (docs/protocol.md section 2). A domain, a redirect or an `apiUrl`
// names a host; the policy looks the name up, and hands on to the connecting socket only addresses that it has checked.
// The socket connects to those and looks nothing up again, so an answer that changes meanwhile changes nothing.

import dns from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { type CidrRange, inRanges, isGloballyReachable, isLoopback } from "../protocol/ip-policy.ts";
import type { DevelopmentResolution } from "./development-resolution.ts";
import { PeerError } from "./errors.ts";

/** Decides about every connection to a peer. */
export interface ConnectionPolicy {
  /** Names that lead to loopback; undefined in production. */
  readonly development: DevelopmentResolution | undefined;
  /**
   * `options.lookup` for a connecting socket: looks `host` up once and gives only allowed addresses. Node does not call it
   * for an IP literal: {@link ConnectionPolicy.checkTarget} has to come first. Its error is a {@link PeerError}.
   */
  readonly lookup: LookupFunction;
  /**
   * Refuses what can be judged without looking up: IP literals and cleartext, both of which only development allows.
   *
   * @throws PeerError `PEER_ADDRESS_FORBIDDEN`.
   */
  checkTarget(scheme: "https" | "http", host: string): void;
  /** Whether a connection made for `host` may end at `address`. */
  allowsAddress(host: string, address: string): boolean;
}

/** Looks up all addresses of a name, as `dns.lookup` does with `all`. */
export type AddressLookup = (
  host: string,
  options: dns.LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void,
) => void;

/** What a policy is made of. */
export interface ConnectionPolicyOptions {
  /** Ranges that the operator allows beside the globally reachable addresses. */
  readonly allowedNetworks: readonly CidrRange[];
  /** Defined only under `--dev`. */
  readonly development: DevelopmentResolution | undefined;
  /** `dns.lookup` unless given. */
  readonly lookup?: AddressLookup;
}

const NOT_PUBLIC = "it has no address on the public internet";

/** Makes the policy that all of a node's outgoing connections share. */
export function createConnectionPolicy(options: ConnectionPolicyOptions): ConnectionPolicy {
  const { allowedNetworks, development } = options;
  const lookupAddresses: AddressLookup = options.lookup ?? dns.lookup;

  /** Loopback is for mapped names, and for URLs that say loopback themselves; both in development only. */
  const mayBeLoopback = (host: string): boolean => {
    return development !== undefined && (development.has(host) || isLoopbackHost(host));
  };

  const allowsAddress = (host: string, address: string): boolean => {
    return (
      isGloballyReachable(address) ||
      inRanges(address, allowedNetworks) ||
      (mayBeLoopback(host) && isLoopback(address))
    );
  };

  const checkTarget = (scheme: "https" | "http", host: string): void => {
    if (scheme === "http" && !mayBeLoopback(host)) throw forbidden(host, "cleartext is refused");
    if (isIP(host) !== 0 && !(mayBeLoopback(host) && isLoopback(host))) {
      throw forbidden(host, "a DNS name is needed, not an IP address");
    }
  };

  const lookup: LookupFunction = (host, lookupOptions, callback) => {
    const settle = (error: NodeJS.ErrnoException | null, found: readonly dns.LookupAddress[]): void => {
      // Zones ("fe80::1%eth0") and whatever else is no address text are refused with the rest.
      const allowed = error === null ? found.filter(({ address }) => allowsAddress(host, address)) : [];
      const [first] = allowed;
      if (error !== null) callback(lookupFailure(host, error), "");
      else if (first === undefined) callback(forbidden(host, NOT_PUBLIC), "");
      else if (lookupOptions.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    };

    const mapped = development?.get(host)?.hostname.replace(/^\[|\]$/g, "");
    const target = mapped ?? host;
    const literal = isIP(target);
    if (literal !== 0) {
      process.nextTick(settle, null, [{ address: target, family: literal }]);
      return;
    }
    const { family, hints } = lookupOptions;
    lookupAddresses(
      target,
      {
        all: true,
        ...(family === undefined ? {} : { family }),
        ...(hints === undefined ? {} : { hints }),
      },
      settle,
    );
  };

  return { development, lookup, checkTarget, allowsAddress };
}

/** Whether an error of a look-up says that there is no such name, and not that nobody could be asked. */
export function isUnknownHost(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && (error.code === "ENOTFOUND" || error.code === "ENODATA")
  );
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || isLoopback(host);
}

function forbidden(host: string, why: string): PeerError {
  return new PeerError("PEER_ADDRESS_FORBIDDEN", host, `this node does not connect to ${host}: ${why}`);
}

function lookupFailure(host: string, error: NodeJS.ErrnoException): PeerError {
  const problem = isUnknownHost(error) ? `${host} does not exist in DNS` : `looking up ${host} in DNS failed`;
  return new PeerError("PEER_UNREACHABLE", host, problem, { cause: error });
}
