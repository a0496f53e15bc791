// A domain's owner, and what the domain publishes: a document and TXT records that a test changes as it likes.

import { toHex } from "../../src/crypto/index.ts";
import type { PublishedEvidence } from "../../src/federation/domain-evidence.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import { type AuthorizationTerms, buildAuthorization } from "../../src/protocol/domain-authorization.ts";
import { signDomainClaim } from "../../src/protocol/domain-claim.ts";
import { domainKeyHash, generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { buildRotation } from "../../src/protocol/domain-rotation.ts";
import { API_URL, type Person, type TestNode } from "./node.ts";

const DAY = 86_400_000;

/** What domains publish. */
export interface Publisher {
  /** Domains without an entry do not exist. */
  readonly documents: Map<
    string,
    { apiUrl?: string; keyHash?: string; minSerial?: number; version?: 1; servedBy?: string }
  >;
  readonly txt: Map<string, readonly string[]>;
  /** Domains that do not answer at present. */
  readonly unreachable: Set<string>;
  lookUp(domain: string): Promise<PublishedEvidence>;
}

export function publisher(): Publisher {
  const documents: Publisher["documents"] = new Map();
  const txt: Publisher["txt"] = new Map();
  const unreachable = new Set<string>();
  const missing = (domain: string) => {
    const failure = unreachable.has(domain)
      ? new PeerError("PEER_UNREACHABLE", domain, `${domain} cannot be reached`)
      : new PeerError("DOMAIN_NOT_FOUND", domain, `${domain} publishes no discovery document`);
    const { message, retryable: retry } = failure;
    return {
      document: { kind: "failed", message, retry } as const,
      txt: { kind: "absent" } as const,
      fetched: undefined,
      failure,
    };
  };
  return {
    documents,
    txt,
    unreachable,
    async lookUp(domain) {
      const published = documents.get(domain);
      if (published === undefined || unreachable.has(domain)) return missing(domain);
      const { keyHash = "", minSerial, version, servedBy } = published;
      const apiUrl = parseApiUrl(published.apiUrl ?? API_URL);
      const document =
        version === 1
          ? ({ version: 1, apiUrl } as const)
          : ({
              version: 2,
              apiUrl,
              domainPubKeyHash: keyHash,
              ...(minSerial !== undefined && { minSerial }),
            } as const);
      const records = txt.get(domain);
      return {
        document: { kind: "found", document },
        txt:
          records === undefined
            ? { kind: "absent" }
            : { kind: "found", records: records.map((record) => [record]) },
        fetched: {
          document,
          maxAgeMs: undefined,
          tlsGroup: "",
          fetchedUrl: `https://${domain}`,
          servedBy,
        },
        failure: undefined,
      };
    },
  };
}

/** The owner of a domain at a node. */
export function ownerOf(domain: string, node: TestNode, published: Publisher) {
  const keys = generateCompositeKeyPair();
  const keyHash = toHex(domainKeyHash(keys.publicKey));
  const owner = {
    domain,
    keys,
    keyHash,
    publish(changes: object = {}) {
      published.documents.set(domain, { keyHash, ...changes });
    },
    async authorize(changes: Partial<AuthorizationTerms> = {}) {
      const { current } = await node.context.nodeKeys.present();
      const terms = {
        domain,
        apiUrl: API_URL,
        nodePublicKeys: [current.publicKey],
        serial: 1,
        notBefore: node.now(),
        notAfter: node.now() + 365 * DAY,
        ...changes,
      };
      return buildAuthorization(terms, keys.secretKey);
    },
    /** A whole request to complete a claim. */
    async claimRequest(
      person: Person,
      authorization: Partial<AuthorizationTerms> = {},
      signed: Partial<Parameters<typeof signDomainClaim>[0]> = {},
    ) {
      const begun = await person.domains.beginClaim({ domain });
      const claim = {
        domain,
        apiUrl: begun.apiUrl,
        nodePublicKey: begun.nodePublicKey,
        administrator: person.address,
        nonce: begun.nonce,
        expiresAt: Number(begun.expiresAt),
        ...signed,
      };
      return {
        domain,
        nonce: begun.nonce,
        expiresAt: begun.expiresAt,
        domainPublicKey: keys.publicKey,
        signature: signDomainClaim(claim, keys.secretKey),
        authorization: await owner.authorize(authorization),
      };
    },
    async claim(person: Person, authorization: Partial<AuthorizationTerms> = {}) {
      const answer = await person.domains.completeClaim(await owner.claimRequest(person, authorization));
      return answer.domain!;
    },
    /** The owner with a new key, and the old one's word for it. */
    rotated(serial: number) {
      const next = ownerOf(domain, node, published);
      const rotation = buildRotation({ domain, oldKey: keys, newPublicKey: next.keys.publicKey, serial });
      return { next, rotation };
    },
  };
  return owner;
}
