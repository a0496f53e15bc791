// The `apiUrl` of a discovery document (docs/protocol.md section 2): where a node's RPC methods live. It comes from
// strangers and decides where this node connects, so it is read by the grammar of RFC 3986 as it stands. A WHATWG URL
// parser would first repair it (backslashes, tabs, `https://127.1`, `0x7f.0.0.1`) and so judge another URL than was written.

import { canonicalDomain } from "./domain.ts";
import { ProtocolError } from "./errors.ts";
import { isLoopback } from "./ip-policy.ts";

/** An API URL in its one canonical form. */
export interface ApiUrl {
  /** The whole URL: lower-case scheme and host, no default port, no trailing slash. Compared and signed as this text. */
  readonly href: string;
  /** Scheme, host and port, as a browser spells an origin. */
  readonly origin: string;
  /** "https"; "http" only where insecure URLs are allowed. */
  readonly scheme: "https" | "http";
  /** The DNS name to look up, or a loopback IP address without brackets. */
  readonly host: string;
  /** TCP port, spelled out or the scheme's own. */
  readonly port: number;
  /** Empty, or the path from its first slash, without a trailing one. */
  readonly path: string;
}

/** What a caller may loosen. */
export interface ApiUrlOptions {
  /** Development only: `http` too, with port 80, and loopback hosts: `localhost`, 127.0.0.0/8, `[::1]`. */
  readonly allowInsecure?: boolean;
}

/** Longest API URL, in octets. */
export const MAX_API_URL_OCTETS = 2_048;

const DEFAULT_PORTS = { https: 443, http: 80 } as const;
const MIN_UNPRIVILEGED_PORT = 1_024;
const MAX_PORT = 65_535;

// scheme "://" authority path-abempty [ "?" query ] [ "#" fragment ], RFC 3986 appendix B with "//" required.
const PARTS = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/;
const HOST_AND_PORT = /^(\[[0-9A-Fa-f:.]*\]|[^:[\]]*)(?::(.*))?$/;
// pchar and "/" of RFC 3986 §3.3.
const PATH = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;
const ENCODED_SEPARATOR = /%(?:2f|5c)/i;
const DOT_SEGMENT = /^(?:\.|%2e){1,2}$/i;

/**
 * Reads an API URL.
 *
 *     parseApiUrl("https://Host.Example/api/").href === "https://host.example/api"
 *
 * @throws ProtocolError `API_URL_INVALID`, field "apiUrl", whose message names what is wrong.
 */
export function parseApiUrl(input: string, options: ApiUrlOptions = {}): ApiUrl {
  const allowInsecure = options.allowInsecure ?? false;
  // Everything but ASCII is refused below, so units are octets in whatever passes.
  if (input.length > MAX_API_URL_OCTETS) throw invalid(`longer than ${MAX_API_URL_OCTETS} octets`);
  if (!/^[!-~]*$/.test(input)) throw invalid("has a space, a control character or one outside ASCII");

  const [, rawScheme = "", authority = "", rawPath = "", query, fragment] = PARTS.exec(input) ?? [];
  const scheme = rawScheme.toLowerCase();
  if (scheme !== "https" && !(scheme === "http" && allowInsecure)) throw invalid("must start with https://");
  if (authority.includes("@")) throw invalid("has user information");
  if (query !== undefined) throw invalid("has a query");
  if (fragment !== undefined) throw invalid("has a fragment");

  const [, rawHost = "", rawPort] = HOST_AND_PORT.exec(authority) ?? [];
  if (rawHost === "") throw invalid("has no host, or a malformed one");
  const host = parseHost(rawHost, allowInsecure);
  const port = rawPort === undefined ? DEFAULT_PORTS[scheme] : parsePort(rawPort, scheme);
  const path = parsePath(rawPath);

  const hostText = host.includes(":") ? `[${host}]` : host;
  const origin = `${scheme}://${hostText}${port === DEFAULT_PORTS[scheme] ? "" : `:${port}`}`;
  return { href: origin + path, origin, scheme, host, port, path };
}

function parseHost(rawHost: string, allowInsecure: boolean): string {
  const lowered = rawHost.toLowerCase();
  if (allowInsecure && (lowered === "localhost" || lowered === "[::1]" || isLoopback(lowered))) {
    return lowered.replace(/[[\]]/g, "");
  }
  try {
    return canonicalDomain(lowered);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw invalid(`host is no DNS name: ${error.message}`, error);
  }
}

function parsePort(rawPort: string, scheme: keyof typeof DEFAULT_PORTS): number {
  const port = /^[1-9][0-9]{0,4}$/.test(rawPort) ? Number(rawPort) : Number.NaN;
  if (port === DEFAULT_PORTS[scheme] || (port >= MIN_UNPRIVILEGED_PORT && port <= MAX_PORT)) return port;
  throw invalid(`port must be ${DEFAULT_PORTS[scheme]} or ${MIN_UNPRIVILEGED_PORT} to ${MAX_PORT}`);
}

function parsePath(rawPath: string): string {
  if (!PATH.test(rawPath)) throw invalid("path has a character that a URL path cannot hold");
  if (ENCODED_SEPARATOR.test(rawPath)) throw invalid("path has an encoded slash or backslash");
  const path = rawPath.endsWith("/") ? rawPath.slice(0, -1) : rawPath;
  const segments = path.split("/").slice(1);
  if (segments.includes("")) throw invalid("path has an empty segment");
  if (segments.some((segment) => DOT_SEGMENT.test(segment))) throw invalid("path has a dot segment");
  return path;
}

function invalid(problem: string, cause?: ProtocolError): ProtocolError {
  return new ProtocolError("API_URL_INVALID", `apiUrl ${problem}`, { field: "apiUrl", cause });
}
