// A private network for federation tests: names that resolve to loopback as a test says, a policy that allows loopback as
// an operator would allow a range, and the real dialer. Production speaks to port 443, which a test cannot have: the
// dialer's last step replaces the port, by host.

import type { LookupAddress } from "node:dns";
import { onTestFinished, vi } from "vitest";
import {
  type AddressLookup,
  type ConnectionPolicyOptions,
  createConnectionPolicy,
} from "../../src/federation/connection-policy.ts";
import { createDialer, type Dialer, type DialerOptions } from "../../src/federation/dialer.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { parseCidr } from "../../src/protocol/ip-policy.ts";

// A busy machine may take its time; nothing here measures it.
vi.setConfig({ testTimeout: 30_000 });

export const LOOPBACK: LookupAddress = { address: "127.0.0.1", family: 4 };

export interface TestNetworkOptions extends Partial<Omit<DialerOptions, "policy">> {
  /** Where each host listens. */
  readonly ports: Readonly<Record<string, number>>;
  /** What each host resolves to, 127.0.0.1 unless given; called once per look-up. */
  readonly resolve?: (host: string) => readonly LookupAddress[];
  readonly policy?: Partial<ConnectionPolicyOptions>;
}

export interface TestNetwork {
  readonly dialer: Dialer;
  /** Every look-up so far, by host. */
  readonly lookups: readonly string[];
}

export function createTestNetwork(options: TestNetworkOptions): TestNetwork {
  const lookups: string[] = [];
  const lookup: AddressLookup = (host, _options, callback) => {
    lookups.push(host);
    if (options.resolve === undefined && !(host in options.ports)) {
      process.nextTick(callback, Object.assign(new Error("no such host"), { code: "ENOTFOUND" }), []);
    } else {
      process.nextTick(callback, null, [...(options.resolve?.(host) ?? [LOOPBACK])]);
    }
  };
  const policy = createConnectionPolicy({
    allowedNetworks: [parseCidr("127.0.0.0/8")],
    development: undefined,
    lookup,
    ...options.policy,
  });
  const dialer = createDialer({ ...options, policy });
  onTestFinished(() => dialer.close());
  return {
    lookups,
    dialer: {
      ...dialer,
      open: (target, protocols) =>
        dialer.open({ ...target, port: options.ports[target.host] ?? target.port }, protocols),
    },
  };
}

/** The PeerError that a promise is rejected with; anything else fails the test. */
export async function peerError(promise: Promise<unknown>): Promise<PeerError> {
  const outcome = await promise.then(
    () => "fulfilled",
    (error: unknown) => error,
  );
  if (outcome instanceof PeerError) return outcome;
  throw new Error("expected a PeerError", { cause: outcome });
}
