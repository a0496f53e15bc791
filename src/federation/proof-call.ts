/**
 * Asks a host to prove that a domain's owner wants it to be the host (docs/protocol.md, section 2.1): one ProveDomain call over
 * the connections that all calls to peers use. What comes back is not verified.
 */

import { createClient } from "@connectrpc/connect";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { DomainProof } from "../../gen/keypears/v1/domain_pb.ts";
import type { ApiUrl } from "../protocol/api-url.ts";
import { invalidResponse, toPeerError } from "./call-errors.ts";
import { PeerError } from "./errors.ts";
import type { PeerConnections } from "./peer-connections.ts";
import { untilAborted } from "./until-aborted.ts";

/**
 * Asks the host at `apiUrl` for a proof over a nonce of 32 bytes.
 *
 * @throws PeerError, also when `signal` ends it (`PEER_CALL_CANCELLED`).
 */
export type AskForProof = (
  domain: string,
  apiUrl: ApiUrl,
  nonce: Uint8Array,
  signal?: AbortSignal,
) => Promise<DomainProof>;

const TIMEOUT_MS = 8_000;

/** Makes the function that asks; it takes at most `timeoutMs`, 8 s by default, connecting included. */
export function createProofCall(
  connections: Pick<PeerConnections, "connect">,
  timeoutMs = TIMEOUT_MS,
): AskForProof {
  return async (domain, apiUrl, nonce, callerSignal) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = callerSignal === undefined ? timeout : AbortSignal.any([callerSignal, timeout]);
    try {
      const { transport } = await untilAborted(connections.connect(apiUrl), signal);
      const { proof } = await createClient(DiscoveryService, transport).proveDomain(
        { domain, nonce },
        { signal, timeoutMs },
      );
      if (proof === undefined) throw invalidResponse(domain, "without a proof");
      return proof;
    } catch (error) {
      if (callerSignal?.aborted) {
        throw new PeerError("PEER_CALL_CANCELLED", domain, `the look-up of ${domain} was cancelled`, {
          cause: error,
        });
      }
      if (timeout.aborted) {
        throw new PeerError("PEER_TIMEOUT", domain, `the host of ${domain} gave no proof in time`, {
          cause: error,
        });
      }
      throw toPeerError(domain, error);
    }
  };
}
