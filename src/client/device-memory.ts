/**
 * What a device remembers so that a node cannot turn back time for it (docs/protocol.md, section 5): the newest contact book
 * and the newest own key set that it has seen. None of it is secret. The application keeps it beside the credentials.
 */

/** The newest things that a device has seen. A device that has just been signed in anew has seen nothing. */
export interface Seen {
  /** The newest contact book. */
  readonly contacts?: SeenContacts | undefined;
  /** The account's own newest key set, after it was compared with the account's own seeds. */
  readonly ownKeySet?: SeenKeySet | undefined;
}

/** A contact book that was read or written. */
export interface SeenContacts {
  readonly version: bigint;
  /** BLAKE3 of the sealed book, 32 bytes: two books can have been sealed for one version, and only one of them counts. */
  readonly hash: Uint8Array;
}

/** A key set. */
export interface SeenKeySet {
  readonly number: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** Keeps what was seen. It may write it somewhere, and what was seen is not acted upon before it has. */
export type KeepSeen = (seen: Seen) => void | Promise<void>;

/** The memory of one device for one account. */
export interface DeviceMemory {
  readonly seen: Seen;
  /** Adds what is newer than what is known, and has it kept. Throws what keeping it throws. */
  add(news: Seen): Promise<void>;
}

/** Makes a memory that starts with what was kept. */
export function createDeviceMemory(known: Seen, keep: KeepSeen = () => undefined): DeviceMemory {
  let seen = known;
  let kept = known;
  return {
    get seen() {
      return seen;
    },
    async add(news) {
      seen = laterSeen(seen, news);
      if (seen === kept) return;
      const next = seen;
      await keep(next);
      kept = next;
    },
  };
}

/**
 * The later part of each of two memories of one account, to be kept where several processes share one. Answers with `known`
 * itself where nothing is newer.
 */
export function laterSeen(known: Seen, news: Seen): Seen {
  const newerContacts = (news.contacts?.version ?? 0n) > (known.contacts?.version ?? 0n);
  const newerKeySet = (news.ownKeySet?.number ?? 0) > (known.ownKeySet?.number ?? 0);
  if (!newerContacts && !newerKeySet) return known;
  return {
    contacts: newerContacts ? news.contacts : known.contacts,
    ownKeySet: newerKeySet ? news.ownKeySet : known.ownKeySet,
  };
}
