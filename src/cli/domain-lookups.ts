/** How the tool looks domains up: as a node does, in small, and with calls that are quick to load. */

import { createClient, type Transport } from "@connectrpc/connect";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { systemClock } from "../clock.ts";
import { invalidResponse, toPeerError } from "../federation/call-errors.ts";
import type { Dialer } from "../federation/dialer.ts";
import { createTxtLookup, lookUpNoTxt } from "../federation/dns-txt.ts";
import { createDocumentFetcher } from "../federation/document-fetcher.ts";
import { createDomainChecks, type DomainChecks } from "../federation/domain-check.ts";
import { PeerError } from "../federation/errors.ts";
import type { AskForProof } from "../federation/proof-call.ts";
import { createResolver, type ResolvedDomain } from "../federation/resolver.ts";
import { untilAborted } from "../federation/until-aborted.ts";
import { silentLogger } from "../logger.ts";
import { createDomainMemories } from "../protocol/domain-memories.ts";
import type { NodeEnvironmentOptions } from "./environment.ts";

/** Look-ups of domains. */
export interface DomainLookups {
  readonly checks: DomainChecks;
  /** Resolves a domain for use, from what was found before in this process where it can. @throws PeerError */
  resolve(domain: string, signal?: AbortSignal): Promise<ResolvedDomain>;
  close(): void;
}

/** What they work with. */
export interface DomainLookupsOptions extends NodeEnvironmentOptions {
  readonly dnsServers: readonly string[];
  readonly dialer: Dialer;
  readonly transport: (apiUrl: string) => Transport;
}

const PROOF_TIMEOUT_MS = 8_000;

/** Makes them. What they meet they throw; nothing is logged. */
export function createDomainLookups(options: DomainLookupsOptions): DomainLookups {
  const { resolve: development, dnsServers, dialer, transport } = options;
  const checks = createDomainChecks({
    sources: {
      fetchDocument: createDocumentFetcher({ dialer }),
      lookUpTxt:
        development && dnsServers.length === 0 ? lookUpNoTxt : createTxtLookup({ servers: dnsServers }),
      askForProof: proofCall(transport),
    },
    memories: options.memories ?? createDomainMemories(),
    clock: systemClock,
    log: silentLogger,
    allowInsecure: development !== undefined,
  });
  const resolver = createResolver({ fetch: checks.fetch, clock: systemClock, log: silentLogger });
  return {
    checks,
    resolve(domain, signal) {
      const resolving = resolver.resolve(domain);
      return signal === undefined ? resolving : untilAborted(resolving, signal);
    },
    close: () => resolver.close(),
  };
}

function proofCall(transport: DomainLookupsOptions["transport"]): AskForProof {
  return async (domain, apiUrl, nonce, signal) => {
    const { proveDomain } = createClient(DiscoveryService, transport(apiUrl.href));
    try {
      const { proof } = await proveDomain(
        { domain, nonce },
        { timeoutMs: PROOF_TIMEOUT_MS, ...(signal && { signal }) },
      );
      if (proof === undefined) throw invalidResponse(domain, "without a proof");
      return proof;
    } catch (error) {
      if (signal?.aborted)
        throw new PeerError("PEER_CALL_CANCELLED", domain, "interrupted", { cause: error });
      throw asPeerError(domain, error);
    }
  };
}

/** What the transport throws: an answer of the node's, an error of the connection, or, without either, no answer in time. */
function asPeerError(domain: string, error: unknown): unknown {
  const { reason, message } = error as { reason?: unknown; message: string };
  try {
    return toPeerError(domain, error);
  } catch {
    return reason === "NODE_UNREACHABLE"
      ? new PeerError("PEER_TIMEOUT", domain, message, { cause: error })
      : error;
  }
}
