/**
 * Where what domains have proven is kept, by a node for all its processes or by a person's device, and how a look at a domain
 * is judged by it: read, judge, and replace what was read, from the start again if somebody else was faster. So nobody who
 * saw something older undoes what another one has seen.
 */

import type { ApiUrlOptions } from "./api-url.ts";
import { checkDomain, type DomainEvidence, type DomainReport } from "./domain-check.ts";
import type { DomainMemory } from "./domain-memory.ts";

/** A keeper of what domains have proven. */
export interface DomainMemories {
  /** What is remembered of a canonical domain, under the number of its last change. It may have run out. */
  read(domain: string): Promise<{ readonly memory: DomainMemory; readonly revision: number } | undefined>;
  /** Remembers something else than what was read under `revision`, 0 where nothing was; false if it is no longer that. */
  replace(domain: string, revision: number, memory: DomainMemory): Promise<boolean>;
}

/** How far a time may move without being written, in milliseconds: a domain that is looked at all day costs few writes. */
const DOMAIN_MEMORY_ROUNDING_MS = 3_600_000;

/** A keeper that forgets everything with its process. */
export function createDomainMemories(): DomainMemories {
  const kept = new Map<string, { readonly memory: DomainMemory; readonly revision: number }>();
  return {
    read: async (domain) => kept.get(domain),
    async replace(domain, revision, memory) {
      if ((kept.get(domain)?.revision ?? 0) !== revision) return false;
      kept.set(domain, { memory, revision: revision + 1 });
      return true;
    },
  };
}

/** Checks a domain by what is remembered of it, and remembers what follows. Writes only what has changed. */
export async function checkAndRemember(
  evidence: DomainEvidence,
  memories: DomainMemories,
  now: number,
  options: ApiUrlOptions = {},
): Promise<DomainReport> {
  for (;;) {
    const known = await memories.read(evidence.domain);
    const report = checkDomain(evidence, known?.memory, now, options);
    const { memory } = report;
    if (memory === undefined || !differs(known?.memory, memory)) return report;
    if (await memories.replace(evidence.domain, known?.revision ?? 0, memory)) return report;
  }
}

function differs(known: DomainMemory | undefined, next: DomainMemory): boolean {
  return (
    known === undefined ||
    known.keyHash !== next.keyHash ||
    known.serial !== next.serial ||
    known.bodyHash !== next.bodyHash ||
    known.txtSeen !== next.txtSeen ||
    known.pending?.keyHash !== next.pending?.keyHash ||
    known.pending?.since !== next.pending?.since ||
    moved(known.provenAt, next.provenAt) ||
    moved(known.pending?.lastSeen ?? 0, next.pending?.lastSeen ?? 0)
  );
}

/** A clock that was ahead is put right as well. */
function moved(known: number, next: number): boolean {
  return Math.abs(next - known) >= DOMAIN_MEMORY_ROUNDING_MS;
}
