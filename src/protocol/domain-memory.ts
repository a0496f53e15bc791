/**
 * What is remembered of a domain that has proven itself, and what follows from it (docs/protocol.md, section 2.1): for 30
 * days a domain may not prove less than it did, and a key that nothing vouches for has to stand for 7 days or be confirmed.
 * Pure: whoever calls keeps the memory.
 */

import { toHex } from "../crypto/bytes.ts";
import type { ParsedRotation } from "./domain-rotation.ts";
import { DOMAIN_KEY_LOOK_MS, DOMAIN_KEY_WAIT_MS, DOMAIN_MEMORY_MS } from "./limits.ts";

/** What a domain had proven when it last did. Times are Unix milliseconds. */
export interface DomainMemory {
  /** BLAKE3 of the domain public key, 64 lower-case hex digits. */
  readonly keyHash: string;
  /** Highest serial seen under this key; 0 for a key that an operator confirmed and that has not proven itself since. */
  readonly serial: number;
  /** BLAKE3 of the authorization body with that serial, in hex; empty with serial 0. */
  readonly bodyHash: string;
  /** Whether DNS had a record for it. */
  readonly txtSeen: boolean;
  /** When it last proved itself. */
  readonly provenAt: number;
  /** A key that is waiting, since nothing vouches for it. */
  readonly pending?: PendingKey;
}

/** A new domain key that waits until it has stood long enough. */
export interface PendingKey {
  readonly keyHash: string;
  /** When it was first seen, without interruption since. */
  readonly since: number;
  /** When it was last seen. */
  readonly lastSeen: number;
}

/** What a look at a domain found, all of it verified: a document of version 1, or a whole proof. */
export type SeenDomain =
  | { readonly version: 1 }
  | {
      readonly version: 2;
      readonly keyHash: string;
      readonly serial: number;
      readonly bodyHash: string;
      /** Whether a TXT record bears the document out. One that contradicts it is no proof at all. */
      readonly txt: boolean;
      /** A verified chain to this key, oldest first. */
      readonly rotations: readonly Pick<ParsedRotation, "oldHash" | "serial">[];
    };

/** What a look at a domain means, and what to remember from now on. */
export type DomainJudgement =
  | { readonly standing: "version-1"; readonly memory: undefined }
  | {
      readonly standing: "proven";
      readonly memory: DomainMemory;
      /** By which way a key came to count that is not the remembered one. */
      readonly newKey?: "rotated" | "waited";
    }
  | { readonly standing: "downgraded"; readonly memory: DomainMemory; readonly what: Downgrade }
  | { readonly standing: "changed"; readonly memory: DomainMemory; readonly until: number };

/** What is less than it was. */
export type Downgrade = "version" | "serial" | "body" | "txt";

/** What is still remembered at `now`: nothing 30 days after the last proof. */
export function livingMemory(memory: DomainMemory | undefined, now: number): DomainMemory | undefined {
  return memory !== undefined && now < memory.provenAt + DOMAIN_MEMORY_MS ? memory : undefined;
}

/**
 * Judges a look at a domain by what is remembered of it.
 *
 * - Nothing remembered: what is seen counts.
 * - A return to version 1, a serial below the highest seen, another body under that serial, or no TXT record where there was
 *   one: `downgraded`.
 * - Another key: `proven` if a rotation leads from the remembered key to it, with a serial above all that were seen under that;
 *   else `changed`, until it has been seen for 7 days, at least every second day, and nothing else meanwhile. A key that
 *   counts without a rotation begins its serials anew.
 */
export function judgeDomain(
  memory: DomainMemory | undefined,
  seen: SeenDomain,
  now: number,
): DomainJudgement {
  const known = livingMemory(memory, now);
  if (known === undefined) {
    if (seen.version === 1) return { standing: "version-1", memory: undefined };
    return { standing: "proven", memory: remembered(seen, now) };
  }
  if (seen.version === 1) return { standing: "downgraded", memory: withoutPending(known), what: "version" };
  if (known.txtSeen && !seen.txt) {
    return { standing: "downgraded", memory: withoutPending(known), what: "txt" };
  }
  if (seen.keyHash === known.keyHash) {
    const what =
      seen.serial < known.serial
        ? "serial"
        : seen.serial === known.serial && seen.bodyHash !== known.bodyHash
          ? "body"
          : undefined;
    if (what !== undefined) return { standing: "downgraded", memory: withoutPending(known), what };
    return { standing: "proven", memory: remembered(seen, now) };
  }
  const departure = seen.rotations.findLast(({ oldHash }) => toHex(oldHash) === known.keyHash);
  if (departure !== undefined && departure.serial > known.serial) {
    return { standing: "proven", memory: remembered(seen, now), newKey: "rotated" };
  }
  const pending = stillPending(known.pending, seen.keyHash, now);
  const until = pending.since + DOMAIN_KEY_WAIT_MS;
  if (now >= until) return { standing: "proven", memory: remembered(seen, now), newKey: "waited" };
  return { standing: "changed", memory: { ...known, pending }, until };
}

/**
 * The memory after an operator has confirmed the key that waits, so that the next look at it counts; undefined if this key is
 * not the one that waits.
 */
export function confirmDomainKey(
  memory: DomainMemory,
  keyHash: string,
  now: number,
): DomainMemory | undefined {
  if (memory.pending?.keyHash !== keyHash) return undefined;
  return { keyHash, serial: 0, bodyHash: "", txtSeen: memory.txtSeen, provenAt: now };
}

/** The memory after a look at which nothing was proven: a key that waits has not stood. */
export function withoutPending(memory: DomainMemory): DomainMemory {
  const { pending: _, ...rest } = memory;
  return rest;
}

function remembered(seen: Extract<SeenDomain, { version: 2 }>, now: number): DomainMemory {
  const { keyHash, serial, bodyHash, txt } = seen;
  return { keyHash, serial, bodyHash, txtSeen: txt, provenAt: now };
}

function stillPending(pending: PendingKey | undefined, keyHash: string, now: number): PendingKey {
  const stood = pending?.keyHash === keyHash && now - pending.lastSeen <= DOMAIN_KEY_LOOK_MS;
  return { keyHash, since: stood ? pending.since : now, lastSeen: now };
}
