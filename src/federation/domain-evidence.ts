/**
 * What there is to judge a domain by (docs/protocol.md, section 2.1): its discovery document and its TXT record, looked up side
 * by side, and its host's proof over a nonce that was never used before. A document of version 1 costs no call; what its TXT
 * record says does not matter and is not waited for.
 */

import { randomBytes } from "../crypto/bytes.ts";
import type { DomainEvidence, NotHad, Shown } from "../protocol/domain-check.ts";
import { DOMAIN_PROOF_NONCE_LENGTH } from "../protocol/domain-proof.ts";
import type { LookUpTxt } from "./dns-txt.ts";
import type { FetchDocument, FetchedDocument } from "./document-fetcher.ts";
import { PeerError } from "./errors.ts";
import type { AskForProof } from "./proof-call.ts";

/** Whom a domain is looked up at. */
export interface DomainSources {
  readonly fetchDocument: FetchDocument;
  readonly lookUpTxt: LookUpTxt;
  readonly askForProof: AskForProof;
}

/** What a domain publishes. */
export interface PublishedEvidence extends Pick<DomainEvidence, "document" | "txt"> {
  /** The document and how it came, if it came. */
  readonly fetched: FetchedDocument | undefined;
  /** Why it could not be had. */
  readonly failure: PeerError | undefined;
}

/** All that there is, for one who stands outside. */
export interface GatheredEvidence {
  readonly evidence: DomainEvidence;
  readonly fetched: FetchedDocument | undefined;
  /** Why the document, or else the proof, could not be had. */
  readonly failure: PeerError | undefined;
}

/**
 * Looks up what a canonical domain publishes: document and TXT record.
 *
 * @throws PeerError `PEER_CALL_CANCELLED` when `signal` ends it; any other is in the evidence.
 */
export async function gatherPublished(
  sources: Pick<DomainSources, "fetchDocument" | "lookUpTxt">,
  domain: string,
  signal?: AbortSignal,
): Promise<PublishedEvidence> {
  const { txt, ...published } = await lookUp(sources, domain, signal);
  return { ...published, txt: await txt };
}

/**
 * Looks up what a canonical domain publishes, and asks the host that it names for a proof.
 *
 * @throws PeerError `PEER_CALL_CANCELLED` when `signal` ends it; any other is in the evidence.
 */
export async function gatherEvidence(
  sources: DomainSources,
  domain: string,
  signal?: AbortSignal,
): Promise<GatheredEvidence> {
  const { txt, document, fetched, failure } = await lookUp(sources, domain, signal);
  if (fetched === undefined || fetched.document.version === 1) {
    return { evidence: { domain, document, txt: { kind: "absent" } }, fetched, failure };
  }
  const nonce = randomBytes(DOMAIN_PROOF_NONCE_LENGTH);
  const [proof, records] = await Promise.all([
    orFailure(sources.askForProof(domain, fetched.document.apiUrl, nonce, signal)),
    txt,
  ]);
  const shown: Shown = proof instanceof PeerError ? notHad(proof) : { kind: "proof", proof, nonce };
  return {
    evidence: { domain, document, txt: records, shown },
    fetched,
    failure: proof instanceof PeerError ? proof : undefined,
  };
}

/** Both at once; the TXT record is left alone as soon as it cannot matter any more. */
async function lookUp(
  { fetchDocument, lookUpTxt }: Pick<DomainSources, "fetchDocument" | "lookUpTxt">,
  domain: string,
  signal: AbortSignal | undefined,
) {
  const needless = new AbortController();
  const ends = signal === undefined ? needless.signal : AbortSignal.any([signal, needless.signal]);
  const txt = lookUpTxt(domain, ends);
  try {
    const fetched = await orFailure(fetchDocument(domain, signal));
    if (fetched instanceof PeerError) {
      needless.abort();
      return { txt, document: notHad(fetched), fetched: undefined, failure: fetched };
    }
    const { document } = fetched;
    if (document.version === 1) needless.abort();
    return { txt, document: { kind: "found", document } as const, fetched, failure: undefined };
  } catch (error) {
    needless.abort();
    throw error;
  }
}

/** What comes, or the reason why it does not. That somebody gave up, or made a mistake, says nothing about the domain. */
async function orFailure<T>(promise: Promise<T>): Promise<T | PeerError> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof PeerError && error.reason !== "PEER_CALL_CANCELLED") return error;
    throw error;
  }
}

function notHad({ message, retryable }: PeerError): NotHad {
  return { kind: "failed", message, retry: retryable };
}
