/**
 * The key sets of senders, as a receiving node needs them (docs/protocol.md, section 3.3). A body never changes under its
 * number and is kept for good; that a set is the active one is believed for 5 minutes at most and never when the sender's
 * domain cannot be asked; a flood of numbers that do not exist costs one question per address and 10 seconds.
 */

import { LRUCache } from "lru-cache";
import { KeySetView, type PublishedKeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import type { Clock } from "../clock.ts";
import { parseAddress } from "../protocol/address.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { type ParsedKeySet, verifyingKey, verifyKeySet } from "../protocol/key-set.ts";
import type { Succession } from "../protocol/key-window.ts";
import { ACTIVE_NUMBER_TTL_MS, UNKNOWN_NUMBER_INTERVAL_MS } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import { timeFromWire } from "../protocol/time.ts";
import type { SenderKeySet } from "../storage/stores.ts";
import { PeerError } from "./errors.ts";

/** A sender's verified key set and what its successor says about it. */
export interface SenderKeys {
  readonly keySet: ParsedKeySet;
  /** Its composite verifying key, 1,984 bytes. */
  readonly verifyingKey: Uint8Array;
  readonly record: SenderKeySet;
  readonly succession: Succession;
}

/** Answer to a look-up. */
export type SenderKeysResult =
  | { readonly kind: "found"; readonly keys: SenderKeys }
  /** The sender's domain says that there is no such address or number. */
  | { readonly kind: "unknown" }
  /** The sender's domain cannot be asked right now. */
  | { readonly kind: "unavailable"; readonly message: string; readonly retryAfterMs: number };

/** Looks up senders' key sets. */
export interface SenderKeyDirectory {
  /** What is known already and may be believed still, without asking anybody. `address` is canonical. */
  known(address: string, number: number): SenderKeys | undefined;
  /** `address` is canonical; `source` identifies the connection on whose behalf a domain may have to be resolved. */
  get(address: string, number: number, source: string): Promise<SenderKeysResult>;
}

/** Asks a domain for a key set; throws PeerError with `peerReason` where the domain says that there is none. */
export type FetchKeySet = (
  domain: string,
  request: { readonly address: string; readonly number: number; readonly view: KeySetView },
  options: { readonly source: string },
) => Promise<PublishedKeySet>;

/** What the directory works with. */
export interface SenderKeyDirectoryOptions {
  readonly clock: Clock;
  /** Asks the sender's domain, which may be this node's own. */
  readonly fetchKeySet: FetchKeySet;
  /** Key sets to keep; about 15 KB each. */
  readonly maxKeySets?: number;
}

/** Delay that is asked of a carrier when the sender's domain cannot be asked, in milliseconds. */
const UNAVAILABLE_RETRY_MS = 30_000;
/** Default bound of the cache. */
const DEFAULT_MAX_KEY_SETS = 10_000;

interface CachedKeySet extends SenderKeys {
  /** When the succession was learnt; it cannot change any more once there is a successor. */
  readonly learntAt: number;
}

/** Makes a directory with its caches. */
export function createSenderKeyDirectory(options: SenderKeyDirectoryOptions): SenderKeyDirectory {
  const { clock, fetchKeySet } = options;
  const max = options.maxKeySets ?? DEFAULT_MAX_KEY_SETS;
  const known = new LRUCache<string, CachedKeySet>({ max });
  const missing = new LRUCache<string, number>({ max });
  const lastMiss = new LRUCache<string, number>({ max });
  const underWay = new Map<string, Promise<SenderKeysResult>>();

  async function ask(address: string, number: number, source: string): Promise<SenderKeysResult> {
    const id = `${number} ${address}`;
    try {
      const { domain } = parseAddress(address);
      const published = await fetchKeySet(domain, { address, number, view: KeySetView.FULL }, { source });
      const entry = verifyPublished(published, address, number, known.get(id), clock());
      known.set(id, entry);
      return { kind: "found", keys: entry };
    } catch (error) {
      if (error instanceof PeerError && isAbsence(error.peerReason)) {
        missing.set(id, clock());
        lastMiss.set(address, clock());
        return { kind: "unknown" };
      }
      if (error instanceof PeerError || error instanceof ProtocolError) {
        const asked = error instanceof PeerError ? error.retryAfterMs : undefined;
        const retryAfterMs = asked ?? UNAVAILABLE_RETRY_MS;
        return { kind: "unavailable", message: `sender's key set: ${error.message}`, retryAfterMs };
      }
      throw error;
    }
  }

  function believed(id: string): SenderKeys | undefined {
    const cached = known.get(id);
    if (cached === undefined) return undefined;
    const { succession, learntAt } = cached;
    const mayHaveChanged =
      succession.supersededAt === 0 && !isWithin(ACTIVE_NUMBER_TTL_MS, learntAt, clock());
    return mayHaveChanged ? undefined : cached;
  }

  return {
    known: (address, number) => believed(`${number} ${address}`),

    async get(address, number, source) {
      const id = `${number} ${address}`;
      const now = clock();
      const keys = believed(id);
      if (keys !== undefined) return { kind: "found", keys };
      if (isRecent(missing.get(id), now)) return { kind: "unknown" };
      const missedAt = lastMiss.get(address);
      if (!known.has(id) && isRecent(missedAt, now)) {
        const retryAfterMs = missedAt + UNKNOWN_NUMBER_INTERVAL_MS - now;
        return { kind: "unavailable", message: "sender's key set was asked for just now", retryAfterMs };
      }
      const asking = underWay.get(id) ?? ask(address, number, source).finally(() => underWay.delete(id));
      underWay.set(id, asking);
      return asking;
    },
  };
}

function isRecent(at: number | undefined, now: number): at is number {
  return at !== undefined && isWithin(UNKNOWN_NUMBER_INTERVAL_MS, at, now);
}

/** Whether something is younger than that. Where the clock was set back, no age can be told, and it counts as older. */
function isWithin(ms: number, at: number, now: number): boolean {
  return now >= at && now < at + ms;
}

function isAbsence(reason: string | undefined): boolean {
  return reason === "ADDRESS_UNKNOWN" || reason === "KEY_SET_UNKNOWN";
}

/** Checks that a domain's answer is what was asked for, signs itself, and agrees with what was seen before. */
function verifyPublished(
  published: PublishedKeySet,
  address: string,
  number: number,
  before: CachedKeySet | undefined,
  now: number,
): CachedKeySet {
  if (!published.keySet) throw garbage("there is no key set in the answer");
  const keySet =
    before && sameBytes(before.record.body, published.keySet.body)
      ? before.keySet
      : verifyKeySet(published.keySet);
  if (keySet.address !== address || keySet.number !== number)
    throw garbage("it is of another address or number");
  if (before && before.keySet !== keySet)
    throw garbage("it is not the one that was published under this number before");
  const supersededAt = timeFromWire(published.supersededAt);
  if (supersededAt === undefined || published.activeNumber < number)
    throw garbage("the answer contradicts itself");
  if ((supersededAt === 0) !== (published.activeNumber === number))
    throw garbage("the answer contradicts itself");
  const record: SenderKeySet = {
    hash: keySet.hash,
    body: published.keySet.body,
    selfSignature: published.keySet.selfSignature,
    continuitySignature: published.keySet.continuitySignature,
  };
  return {
    keySet,
    verifyingKey: verifyingKey(keySet.publicKeys),
    record,
    succession: { supersededAt, revoked: published.revoked },
    learntAt: now,
  };
}

function garbage(message: string): ProtocolError {
  return new ProtocolError("KEY_SET_INVALID", message);
}
