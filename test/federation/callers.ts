// Peers, as the outgoing side of a node calls them, whose every domain is hosted by one server of a test.

import { onTestFinished } from "vitest";
import { createPeers, type PeersOptions } from "../../src/federation/peers.ts";
import type { DomainResolver } from "../../src/federation/resolver.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import type { RunningServer } from "../support/hostile-server.ts";
import { createTestNetwork, type TestNetworkOptions } from "./network.ts";

export const authority = createCertificateAuthority();
export const credentials = authority.issue({ names: ["host.test"] });
export const trustedCertificates = [authority.certificate];

/** A resolver that leads every domain to one host, and notes what it is asked to forget. */
export function fixedResolver(apiUrl: string, allowInsecure = false) {
  const invalidated: string[] = [];
  const sources: (string | undefined)[] = [];
  const resolver: DomainResolver = {
    resolve: async (domain, options) => {
      sources.push(options?.source);
      return {
        domain,
        apiUrl: parseApiUrl(apiUrl, { allowInsecure }),
        documentVersion: 1,
        proof: "unproven",
        fetchedAt: 0,
        freshUntil: 0,
        tlsGroup: "",
      };
    },
    invalidate: (domain) => invalidated.push(domain),
    close: () => {},
  };
  return { resolver, invalidated, sources };
}

interface CallerOptions extends Partial<TestNetworkOptions> {
  readonly limits?: PeersOptions["limits"];
  readonly streamTimes?: PeersOptions["streamTimes"];
}

/** Peers whose every domain is hosted by `server` at https://host.test/api. */
export function callersOf(server: Pick<RunningServer, "port">, options: CallerOptions = {}) {
  const network = createTestNetwork({ trustedCertificates, ports: { "host.test": server.port }, ...options });
  const fixed = fixedResolver("https://host.test/api");
  const { limits = {}, streamTimes = {} } = options;
  const peers = createPeers({ resolver: fixed.resolver, dialer: network.dialer, limits, streamTimes });
  onTestFinished(() => peers.close());
  return { ...network, ...fixed, peers };
}
