// Development resolution: names that lead to loopback on the operator's word, so that two nodes on one machine can play
// two domains. `--resolve acme.test=http://127.0.0.1:4274` makes every connection to the host acme.test go to 127.0.0.1,
// and its discovery document come from port 4274 over HTTP; Host header and SNI stay the name. Never in production.

import { DISCOVERY_PATH } from "../protocol/discovery-document.ts";
import { canonicalDomain } from "../protocol/domain.ts";
import { ProtocolError } from "../protocol/errors.ts";

/** Canonical domain → origin that serves it: `http` or `https`, a host and a port, nothing else. */
export type DevelopmentResolution = ReadonlyMap<string, URL>;

/**
 * Reads one `--resolve` option.
 *
 *     parseResolveOption("acme.test=http://127.0.0.1:4274")  // ["acme.test", URL]
 *
 * @throws ProtocolError `RESOLVE_OPTION_INVALID`, field "resolve", or `DOMAIN_INVALID`.
 */
export function parseResolveOption(text: string): [domain: string, origin: URL] {
  const separator = text.indexOf("=");
  if (separator < 0) throw invalid("must look like acme.test=http://127.0.0.1:4274");
  const domain = canonicalDomain(text.slice(0, separator));
  const origin = URL.parse(text.slice(separator + 1));
  if (origin === null) throw invalid("has no valid URL after the equals sign");
  if (origin.protocol !== "http:" && origin.protocol !== "https:") {
    throw invalid("must name an http or https origin");
  }
  if (origin.username !== "" || origin.password !== "") throw invalid("has user information in its origin");
  // The parser drops an empty query or fragment from these, not from the text.
  if (origin.pathname !== "/" || /[?#]/.test(text)) throw invalid("has more than an origin after the name");
  return [domain, origin];
}

/** Where `domain`'s discovery document is fetched: over HTTPS from its own name, or as development resolution says. */
export function discoveryUrl(domain: string, development: DevelopmentResolution | undefined): URL {
  const url = new URL(`https://${domain}${DISCOVERY_PATH}`);
  const origin = development?.get(domain);
  if (origin !== undefined) {
    url.protocol = origin.protocol;
    url.port = origin.port;
  }
  return url;
}

function invalid(problem: string): ProtocolError {
  return new ProtocolError("RESOLVE_OPTION_INVALID", `--resolve ${problem}`, { field: "resolve" });
}
