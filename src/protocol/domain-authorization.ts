/**
 * Authorizations (docs/protocol.md, section 2.1): the consent of a domain's owner to a host, signed by the domain key. Built
 * by the owner's tool, kept and shown by the host, checked by every peer. The body is hashed and verified as the bytes that
 * it came in.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import {
  type DomainAuthorization,
  DomainAuthorizationBodySchema,
  DomainAuthorizationSchema,
} from "../../gen/keypears/v1/domain_pb.ts";
import { COMPOSITE_PUBLIC_KEY_LENGTH, composite } from "../crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../crypto/contexts.ts";
import { primitives } from "../crypto/select.ts";
import { type ApiUrlOptions, parseApiUrl } from "./api-url.ts";
import { isCanonicalDomain } from "./domain.ts";
import { ProtocolError } from "./errors.ts";
import { AUTHORIZATION_CLOCK_SKEW_MS, MAX_AUTHORIZATION_MS, MAX_AUTHORIZED_NODE_KEYS } from "./limits.ts";
import { decodeCanonical, sameBytes } from "./strict-message.ts";
import { timeFromWire } from "./time.ts";

/** Version of the body that this code builds and reads. */
export const DOMAIN_AUTHORIZATION_VERSION = 1;

/** What an owner consents to. */
export interface AuthorizationTerms {
  /** Canonical domain. */
  readonly domain: string;
  /** Canonical API URL, as the discovery document names it. */
  readonly apiUrl: string;
  /** 1 to 4 composite public keys of 1,984 bytes, none twice. */
  readonly nodePublicKeys: readonly Uint8Array[];
  /** 1 to 2^53 - 1. */
  readonly serial: number;
  /** Unix milliseconds, 1 or later. */
  readonly notBefore: number;
  /** Unix milliseconds, after `notBefore` by at most 398 days. */
  readonly notAfter: number;
}

/** An authorization that was read strictly. Says nothing about its signature. */
export interface ParsedAuthorization extends AuthorizationTerms {
  /** BLAKE3 of the body, 32 bytes: what a proof names, and what tells two bodies of one serial apart. */
  readonly bodyHash: Uint8Array;
  /** The bytes that were read. */
  readonly body: Uint8Array;
}

/**
 * Builds an authorization and signs it with the 64-byte secret domain key.
 *
 * @throws ProtocolError DOMAIN_AUTHORIZATION_INVALID for what every receiver would refuse, before anything is signed.
 */
export function buildAuthorization(
  terms: AuthorizationTerms,
  domainSecretKey: Uint8Array,
  options: ApiUrlOptions = {},
): DomainAuthorization {
  for (const field of ["serial", "notBefore", "notAfter"] as const) {
    if (!Number.isSafeInteger(terms[field]) || terms[field] < 0) throw invalid(`${field} is no whole number`);
  }
  const body = toBinary(
    DomainAuthorizationBodySchema,
    create(DomainAuthorizationBodySchema, {
      version: DOMAIN_AUTHORIZATION_VERSION,
      domain: terms.domain,
      apiUrl: terms.apiUrl,
      nodePublicKeys: [...terms.nodePublicKeys],
      serial: BigInt(terms.serial),
      notBefore: BigInt(terms.notBefore),
      notAfter: BigInt(terms.notAfter),
    }),
  );
  parseAuthorizationBody(body, options);
  return create(DomainAuthorizationSchema, {
    body,
    signature: composite.sign(domainSecretKey, body, SIGNATURE_CONTEXT.domainAuthorization),
  });
}

/**
 * Reads an authorization's body: canonical encoding, version, domain, API URL, node keys, serial and dates. Whether it is in
 * date is for {@link authorizationStanding} to say.
 *
 * @throws ProtocolError DOMAIN_AUTHORIZATION_INVALID saying what is wrong.
 */
export function parseAuthorizationBody(body: Uint8Array, options: ApiUrlOptions = {}): ParsedAuthorization {
  const message = decodeCanonical(
    DomainAuthorizationBodySchema,
    body,
    "DOMAIN_AUTHORIZATION_INVALID",
    "authorization",
  );
  if (message.version !== DOMAIN_AUTHORIZATION_VERSION)
    throw invalid(`version ${message.version} is not known`);
  if (!isCanonicalDomain(message.domain)) throw invalid("domain is not in canonical form");
  if (!isCanonicalApiUrl(message.apiUrl, options)) throw invalid("api_url is none, or not in canonical form");
  requireNodeKeys(message.nodePublicKeys);
  const serial = serialFromWire(message.serial);
  if (serial === undefined) throw invalid("serial is not from 1 to 2^53 - 1");
  const [notBefore, notAfter] = [timeFromWire(message.notBefore), timeFromWire(message.notAfter)];
  if (notBefore === undefined || notBefore === 0) throw invalid("not_before is no time");
  if (notAfter === undefined || notAfter <= notBefore) throw invalid("not_after is not after not_before");
  if (notAfter - notBefore > MAX_AUTHORIZATION_MS) throw invalid("it holds longer than 398 days");
  return {
    domain: message.domain,
    apiUrl: message.apiUrl,
    nodePublicKeys: message.nodePublicKeys,
    serial,
    notBefore,
    notAfter,
    bodyHash: primitives().blake3.hash(body),
    body,
  };
}

/**
 * Reads an authorization and verifies its signature by the 1,984-byte domain public key.
 *
 * @throws ProtocolError DOMAIN_AUTHORIZATION_INVALID.
 */
export function verifyAuthorization(
  authorization: DomainAuthorization,
  domainPublicKey: Uint8Array,
  options: ApiUrlOptions = {},
): ParsedAuthorization {
  const parsed = parseAuthorizationBody(authorization.body, options);
  const { body, signature } = authorization;
  if (!composite.verify(domainPublicKey, body, signature, SIGNATURE_CONTEXT.domainAuthorization)) {
    throw invalid("signature does not verify by the domain key");
  }
  return parsed;
}

/** Whether an authorization holds at `now`, in Unix milliseconds. An owner's clock may be 5 minutes ahead. */
export function authorizationStanding(
  { notBefore, notAfter }: Pick<AuthorizationTerms, "notBefore" | "notAfter">,
  now: number,
): "in-date" | "not-yet" | "expired" {
  if (now < notBefore - AUTHORIZATION_CLOCK_SKEW_MS) return "not-yet";
  return now < notAfter ? "in-date" : "expired";
}

/** A serial as a number, or undefined unless it is from 1 to 2^53 - 1. */
export function serialFromWire(value: bigint): number | undefined {
  return value >= 1n && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

function isCanonicalApiUrl(text: string, options: ApiUrlOptions): boolean {
  try {
    return parseApiUrl(text, options).href === text;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

// Only lengths: a key that is none makes no signature verify, and harms nobody else.
function requireNodeKeys(keys: readonly Uint8Array[]): void {
  if (keys.length < 1 || keys.length > MAX_AUTHORIZED_NODE_KEYS)
    throw invalid("it names no 1 to 4 node keys");
  keys.forEach((key, index) => {
    if (key.length !== COMPOSITE_PUBLIC_KEY_LENGTH) {
      throw invalid(`a node key is ${key.length} bytes, not ${COMPOSITE_PUBLIC_KEY_LENGTH}`);
    }
    if (keys.slice(0, index).some((other) => sameBytes(other, key)))
      throw invalid("it names a node key twice");
  });
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("DOMAIN_AUTHORIZATION_INVALID", `authorization: ${message}`, {
    field: "authorization",
  });
}
