/** FederationService (docs/protocol.md, section 6.3): takes shares from other nodes and hands them to the inbound pipeline. */

import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import type { DeliveryResult, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { fieldError } from "./errors.ts";

/** Makes the service. */
export function createFederationService(context: ServiceContext): ServiceImpl<typeof FederationService> {
  return {
    async deliverShares({ envelopes }, call) {
      return { results: await decide(envelopes, call) };
    },

    async *deliverShareStream(requests, call) {
      for await (const { batchNumber, envelopes } of requests) {
        yield { batchNumber, results: await decide(envelopes, call) };
      }
    },
  };

  function decide(envelopes: readonly Envelope[], call: HandlerContext): Promise<DeliveryResult[]> {
    const max = context.limits.maxDeliveryEnvelopes;
    if (envelopes.length > max) throw fieldError("envelopes", `must be at most ${max}`);
    const { sourcePrefix, connectionId } = call.values.get(callerKey);
    return context.inbound.deliver(envelopes, { prefix: sourcePrefix, connectionId });
  }
}
