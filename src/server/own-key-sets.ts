/**
 * The node's own accounts as senders: their key sets come from its database, as they would come from any other domain over
 * the network.
 */

import { create } from "@bufbuild/protobuf";
import { KeySetSchema, PublishedKeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import { PeerError } from "../federation/errors.ts";
import type { FetchKeySet } from "../federation/sender-keys.ts";
import type { KeySetStore } from "../storage/stores.ts";

/** Looks key sets of hosted domains up in `keySets`, and asks `elsewhere` for all others. */
export function preferOwnKeySets(
  domains: ReadonlySet<string>,
  keySets: KeySetStore,
  elsewhere: FetchKeySet,
): FetchKeySet {
  return async (domain, request, options) => {
    if (!domains.has(domain)) return elsewhere(domain, request, options);
    const found = await keySets.get(request.address, request.number);
    if (found.kind !== "found") {
      const peerReason = found.kind === "address-unknown" ? "ADDRESS_UNKNOWN" : "KEY_SET_UNKNOWN";
      throw new PeerError("PEER_REFUSED", domain, "there is no such key set", { peerReason });
    }
    const { body, selfSignature, continuitySignature } = found.keySet;
    return create(PublishedKeySetSchema, {
      keySet: create(KeySetSchema, { body, selfSignature, continuitySignature }),
      activeNumber: found.activeNumber,
      supersededAt: BigInt(found.supersededAt),
      revoked: found.revoked,
    });
  };
}
