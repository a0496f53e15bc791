/** DiscoveryService (docs/protocol.md, sections 2 and 10): what this node is, and where a domain lives. */

import type { ServiceImpl } from "@connectrpc/connect";
import { type DiscoveryService, RegistrationMode } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { canonicalDomain } from "../protocol/domain.ts";
import { callerKey, requireSession, type ServiceContext } from "./context.ts";
import { readField } from "./fields.ts";

/** The versions of the protocol that this node speaks. */
const PROTOCOL_VERSIONS = [1];

/** Makes the service. */
export function createDiscoveryService(context: ServiceContext): ServiceImpl<typeof DiscoveryService> {
  const { limits } = context;
  return {
    getServerInfo() {
      return {
        software: context.software,
        protocolVersions: PROTOCOL_VERSIONS,
        development: context.development,
        limits: { ...limits, maxAccountBytes: BigInt(limits.maxAccountBytes) },
        registrationMode: context.registrationOpen ? RegistrationMode.OPEN : RegistrationMode.CLOSED,
        serverTime: BigInt(context.clock()),
      };
    },

    async resolveDomain(request, call) {
      const { account } = requireSession(call);
      const domain = readField("domain", () => canonicalDomain(request.domain));
      await context.spend("lookup", `account:${account.id}`);
      const source = call.values.get(callerKey).connectionId;
      const resolved = await context.resolver.resolve(domain, { source });
      return {
        domain,
        apiUrl: resolved.apiUrl.href,
        documentVersion: resolved.documentVersion,
        fetchedAt: BigInt(resolved.fetchedAt),
        freshUntil: BigInt(resolved.freshUntil),
        tlsGroup: resolved.tlsGroup,
      };
    },
  };
}
