/**
 * What the client library needs of the place it runs in: how to find a domain's node, how to call a node, and the time. In
 * a browser that is `fetch`; the command-line tool brings its own.
 */

import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { type Clock, systemClock } from "../clock.ts";
import { concat } from "../crypto/bytes.ts";
import {
  DISCOVERY_PATH,
  MAX_DISCOVERY_DOCUMENT_OCTETS,
  parseDiscoveryDocument,
} from "../protocol/discovery-document.ts";
import { ClientError, toClientError } from "./errors.ts";

/** The place that a client runs in. */
export interface Environment {
  /**
   * Finds where the methods of a canonical domain live, by asking the domain itself.
   *
   * @throws ClientError DISCOVERY_FAILED, or the reason why the document cannot be used.
   */
  resolveDomain(domain: string, signal?: AbortSignal): Promise<{ readonly apiUrl: string }>;
  /** A way to call the node at `apiUrl`. A bearer token, if any, goes to that node only. */
  transport(apiUrl: string, token?: () => string | undefined): Transport;
  readonly now: Clock;
}

/** How long the document of a domain may take, in milliseconds. */
const DISCOVERY_TIMEOUT_MS = 5_000;
/** Deadline of a unary call, in milliseconds. */
const CALL_TIMEOUT_MS = 20_000;

/** An environment on `fetch`: browsers, and anything else that has it. */
export function fetchEnvironment(
  options: { fetch?: typeof globalThis.fetch; now?: Clock } = {},
): Environment {
  const fetch = options.fetch ?? globalThis.fetch;
  return {
    now: options.now ?? systemClock,
    async resolveDomain(domain, signal) {
      const timeout = AbortSignal.timeout(DISCOVERY_TIMEOUT_MS);
      try {
        const response = await fetch(`https://${domain}${DISCOVERY_PATH}`, {
          credentials: "omit",
          signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        });
        // Browsers do this themselves; elsewhere fetch follows a redirect into cleartext, where anyone may have answered.
        if (!response.url.startsWith("https:")) {
          throw new ClientError("PEER_REDIRECT_REFUSED", `${domain} redirects to something other than https`);
        }
        if (!response.ok) throw new ClientError("DISCOVERY_FAILED", `${domain} publishes no keypears.json`);
        return { apiUrl: parseDiscoveryDocument(await readBody(response)).apiUrl.href };
      } catch (cause) {
        if (signal?.aborted) throw signal.reason;
        const error = toClientError(cause);
        if (error instanceof ClientError) throw error;
        throw new ClientError("DISCOVERY_FAILED", `${domain} cannot be asked for its keypears.json`, {
          cause,
        });
      }
    },
    transport(apiUrl, token) {
      return createConnectTransport({
        baseUrl: apiUrl,
        useBinaryFormat: true,
        // A call is never redirected, and carries no cookie: its credential is the bearer token alone.
        fetch: (input, init) => fetch(input, { ...init, redirect: "error", credentials: "omit" }),
        defaultTimeoutMs: CALL_TIMEOUT_MS,
        interceptors: token ? [bearer(token)] : [],
      });
    },
  };
}

/** Adds the session's credential to each request. */
export function bearer(token: () => string | undefined): Interceptor {
  return (next) => (request) => {
    const current = token();
    if (current !== undefined) request.header.set("Authorization", `Bearer ${current}`);
    return next(request);
  };
}

/** The body of a discovery document, of which no more is read than one may have. */
async function readBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_DISCOVERY_DOCUMENT_OCTETS)
      throw new ClientError("DISCOVERY_FAILED", "keypears.json is too large");
    chunks.push(chunk);
  }
  return concat(...chunks);
}
