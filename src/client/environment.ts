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
import { createDomainMemories, type DomainMemories } from "../protocol/domain-memories.ts";
import { createHostCheck, type HostProof } from "./domain-check.ts";
import { ClientError, toClientError } from "./errors.ts";

/** The place that a client runs in. */
export interface Environment {
  /**
   * Finds where the methods of a canonical domain live, by asking the domain itself, and checks that its owner consents.
   *
   * @throws ClientError DISCOVERY_FAILED, or the reason why the document cannot be used: DOMAIN_UNPROVEN, DOMAIN_DOWNGRADED
   *   and DOMAIN_CHANGED where the domain does not bear it out.
   */
  resolveDomain(domain: string, signal?: AbortSignal): Promise<ResolvedHost>;
  /** A way to call the node at `apiUrl`. A bearer token, if any, goes to that node only. */
  transport(apiUrl: string, token?: () => string | undefined): Transport;
  readonly now: Clock;
}

/** Where a domain's methods live. */
export interface ResolvedHost {
  readonly apiUrl: string;
  /** Whether the owner's consent is proven; undefined where whoever resolved it did not look. */
  readonly proof?: HostProof;
}

/** What an environment on `fetch` may be given. */
export interface FetchEnvironmentOptions {
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: Clock;
  /**
   * What domains have proven, which the application keeps for its person: with it no domain proves less than it did before.
   * Unless given it lasts as long as the environment.
   */
  readonly memories?: DomainMemories;
}

/** How long the document of a domain may take, in milliseconds. */
const DISCOVERY_TIMEOUT_MS = 5_000;
/** Deadline of a unary call, in milliseconds. */
const CALL_TIMEOUT_MS = 20_000;

/**
 * An environment on `fetch`: browsers, and anything else that has it. Of what section 2.1 asks for it checks everything but
 * DNS, which it has no way to.
 */
export function fetchEnvironment(options: FetchEnvironmentOptions = {}): Environment {
  const { fetch = globalThis.fetch, now = systemClock, memories = createDomainMemories() } = options;
  const env: Environment = {
    now,
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
        const document = parseDiscoveryDocument(await readBody(response));
        return { apiUrl: document.apiUrl.href, proof: await checkHost(domain, document, signal) };
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
  const checkHost = createHostCheck({ memories, now, transport: env.transport });
  return env;
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
