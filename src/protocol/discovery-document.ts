// The document at https://{domain}/.well-known/keypears.json (docs/protocol.md section 2), by which a domain names its
// host: read from a stranger's bytes, and written for the domains that this node hosts. JSON as RFC 8259 has it, with the
// unique member names of I-JSON (RFC 7493 §2.3).

import { fromUtf8, utf8 } from "../crypto/bytes.ts";
import { CryptoError } from "../crypto/errors.ts";
import { type ApiUrl, type ApiUrlOptions, parseApiUrl } from "./api-url.ts";
import { ProtocolError } from "./errors.ts";

/** Where the document lives on a domain. */
export const DISCOVERY_PATH = "/.well-known/keypears.json";

/** Largest document, in octets. */
export const MAX_DISCOVERY_DOCUMENT_OCTETS = 65_536;

/** Version 1: the domain names its host, and nothing more. */
export interface DiscoveryDocumentV1 {
  readonly version: 1;
  readonly apiUrl: ApiUrl;
}

/** Version 2: the domain also names its owner's key, so that the choice of host can be proven (section 2.1). */
export interface DiscoveryDocumentV2 {
  readonly version: 2;
  readonly apiUrl: ApiUrl;
  /** BLAKE3 of the domain public key, 64 lower-case hex digits. */
  readonly domainPubKeyHash: string;
  /** The lowest serial of an authorization that the owner still stands by. */
  readonly minSerial?: number;
}

export type DiscoveryDocument = DiscoveryDocumentV1 | DiscoveryDocumentV2;

const HASH = /^[0-9a-f]{64}$/;

/**
 * Reads a discovery document. Unknown members are ignored; a member that stands twice is refused, because JSON parsers
 * differ in which one they keep, and two peers would then be sent to two hosts.
 *
 * @throws ProtocolError `PEER_PROTOCOL_UNSUPPORTED` for a version other than 1 and 2 and for the older
 *   `{"apiDomain":"host.example"}`; `DISCOVERY_DOCUMENT_INVALID`, with the member as its field, for all else.
 */
export function parseDiscoveryDocument(bytes: Uint8Array, options: ApiUrlOptions = {}): DiscoveryDocument {
  if (bytes.length > MAX_DISCOVERY_DOCUMENT_OCTETS) {
    throw invalid(`is larger than ${MAX_DISCOVERY_DOCUMENT_OCTETS} octets`);
  }
  const members = parseObject(decode(bytes));
  const version = parseVersion(members);
  const apiUrl = parseDocumentApiUrl(members.apiUrl, options);
  if (version === 1) return { version, apiUrl };

  const domainPubKeyHash = members.domainPubKeyHash;
  if (typeof domainPubKeyHash !== "string" || !HASH.test(domainPubKeyHash)) {
    throw invalid("has no domainPubKeyHash of 64 lower-case hex digits", "domainPubKeyHash");
  }
  const minSerial = members.minSerial;
  if (minSerial === undefined) return { version, apiUrl, domainPubKeyHash };
  if (!isWholeNumber(minSerial)) throw invalid("has a minSerial that is no whole number", "minSerial");
  return { version, apiUrl, domainPubKeyHash, minSerial };
}

/** The owner's key in a document: what makes it one of version 2. */
export type DomainKeyMembers = Pick<DiscoveryDocumentV2, "domainPubKeyHash" | "minSerial">;

/**
 * The document that names `apiUrl` as a domain's host: of version 2 with an owner's key, else of version 1. JSON without
 * spaces, the same text for the same input.
 *
 *     buildDiscoveryDocument("https://host.example/api/") === '{"version":1,"apiUrl":"https://host.example/api"}'
 *
 * @throws ProtocolError `API_URL_INVALID`; `DISCOVERY_DOCUMENT_INVALID` for a hash or a serial that is none.
 */
export function buildDiscoveryDocument(
  apiUrl: string,
  options: ApiUrlOptions = {},
  key?: DomainKeyMembers,
): string {
  const { href } = parseApiUrl(apiUrl, options);
  if (key === undefined) return JSON.stringify({ version: 1, apiUrl: href });
  // The order of the members is that of the protocol's table.
  const { domainPubKeyHash, minSerial } = key;
  const text = JSON.stringify({ version: 2, apiUrl: href, domainPubKeyHash, minSerial });
  parseDiscoveryDocument(utf8(text), options);
  return text;
}

function decode(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw invalid("is not UTF-8", undefined, error);
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid("is not JSON", undefined, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("is not a JSON object");
  if (hasDuplicateMember(text)) throw invalid("names a member twice");
  return value as Record<string, unknown>;
}

/** Whether a name stands twice in the outermost object of `json`, which is known to be well-formed. */
function hasDuplicateMember(json: string): boolean {
  const names = new Set<string>();
  let depth = 0;
  for (const [, string, colon, bracket] of json.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|([{}[\]])/g)) {
    if (bracket !== undefined) {
      depth += bracket === "{" || bracket === "[" ? 1 : -1;
    } else if (string !== undefined && colon !== undefined && depth === 1) {
      const name: string = JSON.parse(string);
      if (names.has(name)) return true;
      names.add(name);
    }
  }
  return false;
}

function parseVersion(members: Readonly<Record<string, unknown>>): 1 | 2 {
  const version = members.version;
  if (version === undefined && typeof members.apiDomain === "string") {
    throw unsupported("speaks an older protocol (apiDomain); its host must upgrade to version 1 or 2");
  }
  if (!isWholeNumber(version) || version === 0)
    throw invalid("has no version, or one that is no whole number", "version");
  if (version !== 1 && version !== 2)
    throw unsupported(`has version ${version}; versions 1 and 2 are supported`);
  return version;
}

function parseDocumentApiUrl(value: unknown, options: ApiUrlOptions): ApiUrl {
  if (typeof value !== "string") throw invalid("has no apiUrl", "apiUrl");
  try {
    return parseApiUrl(value, options);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError("DISCOVERY_DOCUMENT_INVALID", error.message, { field: "apiUrl", cause: error });
  }
}

function isWholeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function invalid(problem: string, field?: string, cause?: unknown): ProtocolError {
  return new ProtocolError("DISCOVERY_DOCUMENT_INVALID", `discovery document ${problem}`, { field, cause });
}

function unsupported(problem: string): ProtocolError {
  return new ProtocolError("PEER_PROTOCOL_UNSUPPORTED", `discovery document ${problem}`, {
    field: "version",
  });
}
