/** FederationService (docs/protocol.md, section 6.3): takes shares from other nodes and hands them to the inbound pipeline. */

import type { ServiceImpl } from "@connectrpc/connect";
import type { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { createDeliveryStream } from "./delivery-stream.ts";
import { fieldError } from "./errors.ts";

/** Makes the service. */
export function createFederationService(context: ServiceContext): ServiceImpl<typeof FederationService> {
  return {
    async deliverShares({ envelopes }, call) {
      const max = context.limits.maxDeliveryEnvelopes;
      if (envelopes.length > max) throw fieldError("envelopes", `must be at most ${max}`);
      const { sourcePrefix, connectionId } = call.values.get(callerKey);
      const carrier = { prefix: sourcePrefix, connectionId };
      return { results: await context.inbound.deliver(envelopes, carrier, call.signal) };
    },

    deliverShareStream: createDeliveryStream(context),
  };
}
