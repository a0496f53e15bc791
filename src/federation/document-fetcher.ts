// Fetches a domain's discovery document (docs/protocol.md section 2): a plain GET without credentials, 5 s for everything
// together, 64 KiB, at most 3 redirects, every hop and every address under the connection policy. What comes back is a
// parsed document or a PeerError; nothing is remembered here.

import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { concat } from "../crypto/bytes.ts";
import {
  type DiscoveryDocument,
  MAX_DISCOVERY_DOCUMENT_OCTETS,
  parseDiscoveryDocument,
} from "../protocol/discovery-document.ts";
import { isCanonicalDomain } from "../protocol/domain.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { isUnknownHost } from "./connection-policy.ts";
import { discoveryUrl } from "./development-resolution.ts";
import { connectionError, type Dialer, tlsGroup } from "./dialer.ts";
import { PeerError } from "./errors.ts";

/** A discovery document and how it came. */
export interface FetchedDocument {
  readonly document: DiscoveryDocument;
  /** `max-age` of `Cache-Control` in milliseconds, as the server says it; undefined if it says nothing. */
  readonly maxAgeMs: number | undefined;
  /** TLS group of the last hop, such as "X25519MLKEM768"; empty in cleartext. */
  readonly tlsGroup: string;
  /** Where the document was found after redirects. */
  readonly fetchedUrl: string;
  /** What the server says in `KeyPears-Node`, by which a node knows documents of its own; undefined if nothing. */
  readonly servedBy?: string | undefined;
}

/**
 * Fetches the document of a canonical domain.
 *
 * @throws PeerError, also when `signal` ends it (`PEER_CALL_CANCELLED`).
 */
export type FetchDocument = (domain: string, signal?: AbortSignal) => Promise<FetchedDocument>;

/** What a fetcher is made of. */
export interface DocumentFetcherOptions {
  readonly dialer: Dialer;
  /** Time for look-ups, connections, redirects and body together, in milliseconds; 5 s by default. */
  readonly timeoutMs?: number;
}

/** Header of documents that a node serves itself. */
export const SERVED_BY_HEADER = "keypears-node";

const TIMEOUT_MS = 5_000;
const MAX_REDIRECTS = 3;
const MAX_LOCATION_OCTETS = 2_048;
const MAX_HEADER_OCTETS = 16_384;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Makes the function that fetches discovery documents. */
export function createDocumentFetcher(options: DocumentFetcherOptions): FetchDocument {
  const { dialer, timeoutMs = TIMEOUT_MS } = options;
  return async (domain, callerSignal) => {
    // The domain becomes part of a URL: nothing but a canonical one may.
    if (!isCanonicalDomain(domain)) throw new ProtocolError("DOMAIN_INVALID", "domain is not canonical");
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = callerSignal === undefined ? timeout : AbortSignal.any([callerSignal, timeout]);
    try {
      return await followRedirects(dialer, domain, signal);
    } catch (error) {
      if (callerSignal?.aborted) {
        throw new PeerError("PEER_CALL_CANCELLED", domain, `the look-up of ${domain} was cancelled`, {
          cause: error,
        });
      }
      if (timeout.aborted) {
        throw new PeerError("PEER_TIMEOUT", domain, `${domain} did not give its discovery document in time`, {
          cause: error,
        });
      }
      throw toPeerError(domain, error);
    }
  };
}

async function followRedirects(
  dialer: Dialer,
  domain: string,
  signal: AbortSignal,
): Promise<FetchedDocument> {
  let url = discoveryUrl(domain, dialer.policy.development);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const { response, socket } = await get(dialer, url, signal);
    // Read now: a peer that closes early takes the TLS state with it.
    const group = tlsGroup(socket);
    try {
      const status = response.statusCode ?? 0;
      if (REDIRECTS.has(status)) {
        url = redirectTarget(domain, url, response.headers.location);
        continue;
      }
      if (status !== 200) throw statusError(domain, status);
      const body = await readBody(domain, response);
      const document = parseDiscoveryDocument(body, {
        allowInsecure: dialer.policy.development !== undefined,
      });
      const maxAgeMs = parseMaxAge(response.headers["cache-control"]);
      const servedBy = response.headers[SERVED_BY_HEADER];
      return {
        document,
        maxAgeMs,
        tlsGroup: group,
        fetchedUrl: url.href,
        ...(typeof servedBy === "string" && { servedBy }),
      };
    } finally {
      response.destroy();
    }
  }
  throw refusedRedirect(domain, `more than ${MAX_REDIRECTS} redirects`);
}

interface Answer {
  readonly response: http.IncomingMessage;
  readonly socket: Socket;
}

function get(dialer: Dialer, url: URL, signal: AbortSignal): Promise<Answer> {
  const scheme = url.protocol === "http:" ? "http" : "https";
  const target = {
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (scheme === "http" ? 80 : 443),
  } as const;
  return new Promise((resolve, reject) => {
    const request = (scheme === "http" ? http : https).request(url, {
      // In place of an agent: one connection, closed after one answer.
      createConnection: () => dialer.open(target, ["http/1.1"]),
      headers: {
        host: url.host,
        accept: "application/json",
        "accept-encoding": "identity",
        "user-agent": "keypears-node",
      },
      maxHeaderSize: MAX_HEADER_OCTETS,
      signal,
    });
    request.on("response", (response) => resolve({ response, socket: response.socket }));
    // Stays after the answer has begun: a later error must not become an uncaught one.
    request.on("error", (error) => reject(asConnectionError(target.host, error)));
    request.end();
  });
}

/** The whole body, uncompressed, as long as it stays within the limit. */
async function readBody(domain: string, response: http.IncomingMessage): Promise<Uint8Array> {
  const encoding = response.headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new PeerError(
      "PEER_RESPONSE_INVALID",
      domain,
      `${domain} compressed its discovery document, unasked`,
    );
  }
  const tooLarge = () =>
    new PeerError(
      "PEER_RESPONSE_TOO_LARGE",
      domain,
      `the discovery document of ${domain} is larger than ${MAX_DISCOVERY_DOCUMENT_OCTETS} octets`,
    );
  if (Number(response.headers["content-length"] ?? 0) > MAX_DISCOVERY_DOCUMENT_OCTETS) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > MAX_DISCOVERY_DOCUMENT_OCTETS) throw tooLarge();
    chunks.push(chunk);
  }
  return concat(...chunks);
}

/** Where a redirect leads, as far as that can be judged before connecting; the policy judges the rest. */
function redirectTarget(domain: string, from: URL, location: string | undefined): URL {
  if (location === undefined || location.length > MAX_LOCATION_OCTETS) {
    throw refusedRedirect(domain, "a redirect without a place to go");
  }
  const url = URL.parse(location, from);
  if (url === null) throw refusedRedirect(domain, "a redirect to no URL");
  // Cleartext is for development: there the fetch came in cleartext already, and the policy judges the new host.
  if (url.protocol !== "https:" && !(url.protocol === "http:" && from.protocol === "http:")) {
    throw refusedRedirect(domain, "a redirect to something other than https");
  }
  if (url.username !== "" || url.password !== "")
    throw refusedRedirect(domain, "a redirect with credentials");
  // The ports that an apiUrl may have: no redirect makes this node talk to a mail server.
  const port = Number(url.port);
  if (url.port !== "" && port < 1_024) throw refusedRedirect(domain, "a redirect to a privileged port");
  return url;
}

function refusedRedirect(domain: string, what: string): PeerError {
  return new PeerError(
    "PEER_REDIRECT_REFUSED",
    domain,
    `${domain} answered for its discovery document with ${what}`,
  );
}

function statusError(domain: string, status: number): PeerError {
  if (status === 404 || status === 410) {
    return new PeerError(
      "DOMAIN_NOT_FOUND",
      domain,
      `${domain} publishes no discovery document (HTTP ${status})`,
    );
  }
  return new PeerError(
    "DISCOVERY_FAILED",
    domain,
    `${domain} answered HTTP ${status} for its discovery document`,
    { retryable: status >= 500 || status === 429 || status === 408 },
  );
}

/** `max-age` in milliseconds (RFC 9111 §5.2.2.1); 0 for `no-store` and `no-cache`; undefined where nothing is said. */
function parseMaxAge(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  let maxAgeMs: number | undefined;
  for (const directive of header.toLowerCase().split(",")) {
    const [name = "", value = ""] = directive.split("=").map((part) => part.trim());
    if (name === "no-store" || name === "no-cache") return 0;
    const seconds = /^"?(\d{1,10})"?$/.exec(value)?.[1];
    // Of two that contradict each other the shorter one counts.
    if (name === "max-age" && seconds !== undefined) {
      maxAgeMs = Math.min(maxAgeMs ?? Number.POSITIVE_INFINITY, Number(seconds) * 1_000);
    }
  }
  return maxAgeMs;
}

/** Names the host that failed, which after a redirect is not the domain's own. */
function asConnectionError(host: string, error: Error): Error {
  try {
    return connectionError(host, error);
  } catch {
    return error;
  }
}

function toPeerError(domain: string, error: unknown): PeerError {
  if (error instanceof ProtocolError) {
    const reason =
      error.reason === "PEER_PROTOCOL_UNSUPPORTED"
        ? "PEER_PROTOCOL_UNSUPPORTED"
        : "DISCOVERY_DOCUMENT_INVALID";
    return new PeerError(reason, domain, `${domain}: ${error.message}`, { cause: error });
  }
  const failure = connectionError(domain, error);
  if (failure.reason === "PEER_UNREACHABLE" && failure.domain === domain && isUnknownHost(failure.cause)) {
    return new PeerError("DOMAIN_NOT_FOUND", domain, failure.message, { cause: error });
  }
  return failure;
}
