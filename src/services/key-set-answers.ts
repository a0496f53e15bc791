/**
 * Key sets as they are asked for, encoded once and kept: nothing is asked for more often (docs/protocol.md, section 3). What
 * is kept never outlives a publication: whoever changes an address's key sets says so here, which drops them in this process
 * and, by a hint, in every other one of the database.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import { LRUCache } from "lru-cache";
import { KeySetView, type PublishedKeySet, PublishedKeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import { GetKeySetResponseSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import type { Clock } from "../clock.ts";
import type { Hints } from "../hints.ts";
import type { Succession } from "../protocol/key-window.ts";
import { MAX_KEY_SET_NUMBER } from "../protocol/limits.ts";
import type { KeySetRecord, KeySetStore } from "../storage/stores.ts";
import { type EncodedMessage, encodedMessage } from "./encoded-message.ts";

/** What a look-up finds: the answer to it, a GetKeySetResponse, or why there is none. */
export type FoundAnswer =
  | { readonly kind: "found"; readonly answer: EncodedMessage }
  | Exclude<Awaited<ReturnType<KeySetStore["get"]>>, { kind: "found" }>;

/** The answers of a process. */
export interface KeySetAnswers {
  /** The answer that is at hand for exactly this spelling of an address, which then is a canonical one with an account. */
  known(address: string, number: number, view: KeySetView): EncodedMessage | undefined;
  /**
   * The answer for a canonical address, from the database if need be. Who asks for the same while that is under way gets the
   * same.
   *
   * @param number 0 asks for the active set.
   * @throws StorageError.
   */
  find(address: string, number: number, view: KeySetView): Promise<FoundAnswer>;
  /**
   * Drops what is known of a canonical address whose key sets may have changed, here and elsewhere. To be called after the
   * transaction and before its author is answered; never rejects.
   */
  changed(address: string): Promise<void>;
}

/** What the answers are made of. */
export interface KeySetAnswersOptions {
  readonly keySets: Pick<KeySetStore, "get">;
  readonly clock: Clock;
  readonly hints: Hints;
  /** Difficulty of the stamp for a first contact, part of each answer. */
  readonly firstContactDifficulty: number;
  /** Memory for answers in bytes; 64 MiB by default. */
  readonly maxBytes?: number;
}

/** What is published of a set beside the set itself. */
export interface PublishedState extends Succession {
  /** Number of the address's active set. */
  readonly activeNumber: number;
  readonly firstContactDifficulty: number;
}

/**
 * How answers to a look-up may be cached elsewhere: kept, but never used again without asking. A set may be published at any
 * moment, and whoever asks may hold what he gets for 5 minutes more (section 3.3).
 */
export const KEY_SET_CACHE_CONTROL = "no-cache";

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
/** What an answer takes beside its bytes: its key, its functions, its place in the cache. Measured: 2.9 KB. */
const ENTRY_OVERHEAD_BYTES = 3_072;
/** How long an answer is kept. Hints may be lost: a process may die between its transaction and the hint. */
const MAX_AGE_MS = 60_000;
/** The same while no hints arrive. */
const MAX_AGE_UNHEARD_MS = 1_000;

interface Entry {
  readonly answer: EncodedMessage;
  /** When its look-up began. */
  readonly since: number;
}

/** Makes an empty cache, which lives as long as the hints that it listens to. */
export function createKeySetAnswers(options: KeySetAnswersOptions): KeySetAnswers {
  const { keySets, clock, hints, firstContactDifficulty } = options;
  const entries = new LRUCache<string, Entry>({
    maxSize: options.maxBytes ?? DEFAULT_MAX_BYTES,
    sizeCalculation: ({ answer }) => ENTRY_OVERHEAD_BYTES + answer.heldBytes,
  });
  // Look-ups under way. One that is no longer here when it ends was overtaken by a change, and is not kept.
  const lookups = new Map<string, Promise<FoundAnswer>>();

  function known(key: string): EncodedMessage | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    const age = clock() - entry.since;
    // A clock that was set back tells no age.
    const fresh = age >= 0 && age < (hints.connected ? MAX_AGE_MS : MAX_AGE_UNHEARD_MS);
    return fresh ? entry.answer : undefined;
  }

  function lookUp(key: string, address: string, number: number, view: KeySetView): Promise<FoundAnswer> {
    const since = clock();
    const lookup: Promise<FoundAnswer> = keySets
      .get(address, number)
      .then((found): FoundAnswer => {
        if (found.kind !== "found") return found;
        const message = publishedKeySet(found.keySet, { ...found, firstContactDifficulty }, view);
        const answer = encodedAnswer(message, () => {
          // Its size is counted anew if it is still the one that is kept.
          if (entries.peek(key)?.answer === answer) entries.set(key, { answer, since });
        });
        if (lookups.get(key) === lookup) entries.set(key, { answer, since });
        return { kind: "found", answer };
      })
      .finally(() => {
        if (lookups.get(key) === lookup) lookups.delete(key);
      });
    lookups.set(key, lookup);
    return lookup;
  }

  /** All numbers and views: each answer says which set is active, and whether its own still is. */
  function drop(address: string): void {
    for (const view of [KeySetView.BODY, KeySetView.FULL]) {
      for (let number = 0; number <= MAX_KEY_SET_NUMBER; number += 1) {
        const key = keyOf(address, number, view);
        entries.delete(key);
        lookups.delete(key);
      }
    }
  }

  hints.listen((hint) => {
    if (hint.kind === "key-sets") drop(hint.address);
  });
  hints.onGap(() => {
    entries.clear();
    lookups.clear();
  });

  return {
    known: (address, number, view) => known(keyOf(address, number, view)),
    async find(address, number, view) {
      const key = keyOf(address, number, view);
      const answer = known(key);
      if (answer !== undefined) return { kind: "found", answer };
      return lookups.get(key) ?? lookUp(key, address, number, view);
    },
    changed(address) {
      drop(address);
      return hints.send({ kind: "key-sets", address });
    },
  };
}

/** A set as it is published, as much of it as the view asks for. */
export function publishedKeySet(
  { body, selfSignature, continuitySignature }: KeySetRecord,
  { activeNumber, firstContactDifficulty, supersededAt, revoked }: PublishedState,
  view: KeySetView,
): PublishedKeySet {
  return create(PublishedKeySetSchema, {
    keySet: view === KeySetView.BODY ? { body } : { body, selfSignature, continuitySignature },
    activeNumber,
    firstContactDifficulty,
    supersededAt: BigInt(supersededAt),
    revoked,
  });
}

function encodedAnswer(published: PublishedKeySet, onGrowth: () => void): EncodedMessage {
  const proto = toBinary(GetKeySetResponseSchema, create(GetKeySetResponseSchema, { published }));
  return encodedMessage(GetKeySetResponseSchema, proto, {
    cacheControl: KEY_SET_CACHE_CONTROL,
    // Keys and signatures are as good as random; in base64 they are a quarter shorter by gzip.
    compressible: ["json"],
    onGrowth,
  });
}

/** Neither a number nor a view has a space, so that every key is that of one look-up. */
function keyOf(address: string, number: number, view: KeySetView): string {
  return `${view === KeySetView.BODY ? "body" : "full"} ${number} ${address}`;
}
