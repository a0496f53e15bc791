/**
 * The client library's surroundings in the tool: domains are asked and nodes are called over Node's own sockets, under the
 * connection policy, so that development resolution and the certificates in NODE_EXTRA_CA_CERTS count.
 */

import type { Environment } from "../client/environment.ts";
import { ClientError } from "../client/errors.ts";
import { systemClock } from "../clock.ts";
import type { DevelopmentResolution } from "../federation/development-resolution.ts";
import type { FetchedDocument } from "../federation/document-fetcher.ts";
import { createConnections } from "./connections.ts";
import { createTransport } from "./transport.ts";

/** An environment with connections of its own. */
export interface NodeEnvironment extends Environment {
  /** Fetches a canonical domain's discovery document. @throws ClientError. */
  fetchDocument(domain: string, signal?: AbortSignal): Promise<FetchedDocument>;
  close(): void;
}

/** Makes an environment; `resolve` is development resolution, if there is any. */
export function nodeEnvironment(options: {
  readonly resolve?: DevelopmentResolution | undefined;
}): NodeEnvironment {
  const connections = createConnections(options.resolve);

  async function fetchDocument(domain: string, signal?: AbortSignal): Promise<FetchedDocument> {
    const { createDocumentFetcher } = await import("../federation/document-fetcher.ts");
    try {
      return await createDocumentFetcher({ dialer: connections.dialer })(domain, signal);
    } catch (error) {
      signal?.throwIfAborted();
      const { reason } = error as { reason?: unknown };
      if (!(error instanceof Error) || typeof reason !== "string") throw error;
      throw new ClientError(reason, error.message, { cause: error });
    }
  }

  return {
    now: systemClock,
    fetchDocument,
    async resolveDomain(domain, signal) {
      return { apiUrl: (await fetchDocument(domain, signal)).document.apiUrl.href };
    },
    transport: (apiUrl, token) => createTransport(connections, apiUrl, token),
    close: () => connections.close(),
  };
}
