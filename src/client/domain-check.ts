/**
 * Whether a domain's host may speak for it (docs/protocol.md, section 2.1), as far as a browser can find out: the document, the
 * host's proof, and what this application has seen before. A browser cannot ask DNS for TXT records; what they say is left to
 * nodes and to the command-line tool.
 */

import type { Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { Clock } from "../clock.ts";
import { randomBytes } from "../crypto/bytes.ts";
import type { DiscoveryDocument } from "../protocol/discovery-document.ts";
import type { DomainReport, DomainStanding, Shown } from "../protocol/domain-check.ts";
import { checkAndRemember, type DomainMemories } from "../protocol/domain-memories.ts";
import { DOMAIN_PROOF_NONCE_LENGTH } from "../protocol/domain-proof.ts";
import { ClientError, call } from "./errors.ts";

/** How far it is proven that the owner consents to the host: never by a document of version 1. */
export type HostProof = "proven" | "unproven";

/** What checks work with. */
export interface HostCheckOptions {
  readonly memories: DomainMemories;
  readonly now: Clock;
  readonly transport: (apiUrl: string) => Transport;
}

/** Checks the host that a domain's document names. @throws ClientError DOMAIN_UNPROVEN and others. */
export type CheckHost = (
  domain: string,
  document: DiscoveryDocument,
  signal?: AbortSignal,
) => Promise<HostProof>;

/** How long a proof stands for a document that stays the same, in milliseconds. */
const PROOF_TTL_MS = 300_000;
const MAX_PROOFS = 1_000;
const REFUSALS: Readonly<Record<Exclude<DomainStanding, "proven" | "version-1">, string>> = {
  unproven: "DOMAIN_UNPROVEN",
  downgraded: "DOMAIN_DOWNGRADED",
  changed: "DOMAIN_CHANGED",
  unknown: "DISCOVERY_FAILED",
};

/** Makes the check. */
export function createHostCheck({ memories, now, transport }: HostCheckOptions): CheckHost {
  /** What was proven lately, by the document that it was proven for; the oldest first. */
  const proofs = new Map<string, { readonly document: string; readonly until: number }>();

  return async (domain, document, signal) => {
    const text = JSON.stringify(document);
    const known = proofs.get(domain);
    if (known?.document === text && now() < known.until) return "proven";
    const shown =
      document.version === 1 ? undefined : await ask(domain, transport(document.apiUrl.href), signal);
    const report = await checkAndRemember(
      { domain, document: { kind: "found", document }, txt: { kind: "absent" }, ...(shown && { shown }) },
      memories,
      now(),
    );
    proofs.delete(domain);
    const { standing } = report;
    if (standing === "version-1") return "unproven";
    if (standing !== "proven") {
      throw new ClientError(REFUSALS[standing], `${domain} cannot be trusted: ${problemOf(report)}`);
    }
    const notAfter = report.authorization?.notAfter ?? 0;
    proofs.set(domain, { document: text, until: Math.min(now() + PROOF_TTL_MS, notAfter) });
    for (const oldest of proofs.keys()) {
      if (proofs.size <= MAX_PROOFS) break;
      proofs.delete(oldest);
    }
    return "proven";
  };
}

/** The host's proof over a nonce of its own. @throws ClientError where it gives none. */
async function ask(domain: string, transport: Transport, signal: AbortSignal | undefined): Promise<Shown> {
  const nonce = randomBytes(DOMAIN_PROOF_NONCE_LENGTH);
  const { proof } = await call(() =>
    createClient(DiscoveryService, transport).proveDomain({ domain, nonce }, signal ? { signal } : {}),
  );
  if (proof === undefined) throw new ClientError("NODE_ANSWER_INVALID", `${domain} answers without a proof`);
  return { kind: "proof", proof, nonce };
}

function problemOf({ checks }: DomainReport): string {
  const found = checks.find(({ outcome }) => outcome === "failed" || outcome === "retry");
  return found?.message ?? "it could not be checked";
}
