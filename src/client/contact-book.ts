/**
 * The contact book: what an account knows of its contacts, sealed under the account key, kept by the node and shared by the
 * account's devices (docs/protocol.md, sections 3.2 and 5). Changes are made on the newest version, again if another device
 * was faster. A book that is older than what the device has seen is refused.
 */

import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Contact,
  type ContactBook,
  ContactBookSchema,
  ContactSchema,
  PinnedKeySetSchema,
} from "../../gen/keypears/v1/contact_book_pb.ts";
import { openContacts, sealContacts } from "../crypto/account-key.ts";
import { primitives } from "../crypto/select.ts";
import type { ParsedKeySet } from "../protocol/key-set.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { SeenContacts, SeenKeySet } from "./device-memory.ts";
import { ClientError, toClientError } from "./errors.ts";
import type { KeyRingContext } from "./key-ring.ts";

/** Reads and changes the contact book of one account. Reading throws ClientError CONTACTS_ROLLED_BACK. */
export interface ContactBookStore {
  /** All contacts, in ascending order of address. */
  read(): Promise<readonly Contact[]>;
  /** The entry of a canonical address. */
  find(address: string): Promise<Contact | undefined>;
  /**
   * Changes the entry of an address, making one if there is none. `change` may run more than once; an entry for which it
   * answers false is removed.
   */
  change(address: string, change: (contact: Contact) => boolean | undefined): Promise<void>;
  /** The account's own newest key set, as its devices have written it into the book; undefined if none has yet. */
  ownKeySet(): Promise<SeenKeySet | undefined>;
  /** Writes the newest own key set that this device has seen into the book, unless it is there. */
  recordOwnKeySet(): Promise<void>;
}

/** A book and the version under which the node keeps it; 0 where there is none yet. */
interface Versioned {
  readonly version: bigint;
  readonly book: ContactBook;
}

/** How often a change is tried on a newer version before giving up. */
const MAX_TRIES = 8;

/** Makes the store. It reads from the node once and again whenever a change meets a newer version. */
export function createContactBook({
  env,
  node,
  address,
  accountKey,
  memory,
}: KeyRingContext): ContactBookStore {
  let current: Versioned | undefined;

  async function load(): Promise<Versioned> {
    // An answer has to be as new as what was seen when the question was asked: another may overtake it on the way.
    const known = memory.seen.contacts;
    const { version, sealedContacts } = await node.accounts.getSealedContacts({});
    const hash = hashOf(sealedContacts);
    const book =
      version === 0n
        ? create(ContactBookSchema)
        : fromBinary(ContactBookSchema, openContacts(accountKey, sealedContacts, address));
    requireNotOlder(known, { version, hash }, book);
    if (version > 0n) await memory.add({ contacts: { version, hash } });
    if (current === undefined || version >= current.version) current = { version, book };
    return current;
  }

  const newest = async () => current ?? (await load());

  async function replace(edit: (contacts: readonly Contact[]) => Contact[]): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { version: expectedVersion, book } = await newest();
      const version = expectedVersion + 1n;
      const ownKeySet = newestOwn(book, memory.seen.ownKeySet);
      const changed = create(ContactBookSchema, {
        contacts: edit(book.contacts),
        version,
        ...(ownKeySet && { ownKeySet }),
      });
      const sealedContacts = sealContacts(accountKey, toBinary(ContactBookSchema, changed), address);
      const put = { requestId: crypto.randomUUID(), expectedVersion, sealedContacts };
      try {
        const answer = await node.accounts.putSealedContacts(put);
        if (answer.version !== version) {
          throw new ClientError("NODE_ANSWER_INVALID", "the node kept the contacts under another version");
        }
      } catch (error) {
        const reason = toClientError(error);
        if (!(reason instanceof ClientError && reason.reason === "CONTACTS_CHANGED")) throw error;
        current = undefined;
        continue;
      }
      current = { version, book: changed };
      await memory.add({ contacts: { version, hash: hashOf(sealedContacts) } });
      return;
    }
    throw new ClientError("CONTACTS_CHANGED", "other devices keep changing the contacts: try again");
  }

  return {
    async read() {
      return (await newest()).book.contacts;
    },
    async find(contactAddress) {
      return (await this.read()).find((contact) => contact.address === contactAddress);
    },
    change: (contactAddress, change) =>
      replace((contacts) => changeEntry(contacts, contactAddress, change, env.now())),
    async ownKeySet() {
      return (await newest()).book.ownKeySet;
    },
    async recordOwnKeySet() {
      const { book } = await newest();
      if (newestOwn(book, memory.seen.ownKeySet) !== book.ownKeySet)
        await replace((contacts) => [...contacts]);
    },
  };
}

/** Adds verified sets to a contact's pins, one for each number, in ascending order. */
export function pin(contact: Contact, sets: readonly ParsedKeySet[]): void {
  const added = sets.filter((set) => !contact.pins.some(({ number }) => number === set.number));
  for (const { number, hash } of added) {
    contact.pins.push(create(PinnedKeySetSchema, { number, hash }));
  }
  contact.pins.sort((a, b) => a.number - b.number);
}

/** A copy of the contacts with one entry changed. */
function changeEntry(
  before: readonly Contact[],
  address: string,
  change: (contact: Contact) => boolean | undefined,
  now: number,
): Contact[] {
  const known = before.find((contact) => contact.address === address);
  const entry = known
    ? clone(ContactSchema, known)
    : create(ContactSchema, { address, createdAt: BigInt(now) });
  const others = before.filter((contact) => contact.address !== address);
  const contacts = change(entry) === false ? others : [...others, entry];
  return contacts.sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The higher of the own sets that the book and this device know. */
function newestOwn({ ownKeySet }: ContactBook, seen: SeenKeySet | undefined): SeenKeySet | undefined {
  return (seen?.number ?? 0) > (ownKeySet?.number ?? 0) ? seen : ownKeySet;
}

/** Refuses an old book in the place of a new one, also under the version of a new one. */
function requireNotOlder(
  known: SeenContacts | undefined,
  { version, hash }: SeenContacts,
  book: ContactBook,
): void {
  const sealedAsAnswered = book.version === version;
  const older = known !== undefined && version < known.version;
  const replaced = known?.version === version && !sameBytes(known.hash, hash);
  if (sealedAsAnswered && !older && !replaced) return;
  throw new ClientError(
    "CONTACTS_ROLLED_BACK",
    "the node gives other contacts than this device has seen, older ones, in which pins and blocks can be missing: " +
      "ask its operator why; if it was restored from a backup, sign in as a new device",
  );
}

function hashOf(sealedContacts: Uint8Array): Uint8Array {
  return primitives().blake3.hash(sealedContacts);
}
