/**
 * The contact book: what an account knows of its contacts, sealed under the account key, kept by the node and shared by the
 * account's devices (docs/protocol.md, section 3.2). Changes are made on the newest version, again if another device was
 * faster.
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
import type { ParsedKeySet } from "../protocol/key-set.ts";
import { ClientError, toClientError } from "./errors.ts";
import type { KeyRingContext } from "./key-ring.ts";

/** Reads and changes the contact book of one account. */
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
}

/** How often a change is tried on a newer version before giving up. */
const MAX_TRIES = 8;

/** Makes the store. It reads from the node once and again whenever a change meets a newer version. */
export function createContactBook({ env, node, address, accountKey }: KeyRingContext): ContactBookStore {
  let current: { version: bigint; book: ContactBook } | undefined;

  async function load(): Promise<{ version: bigint; book: ContactBook }> {
    const { version, sealedContacts } = await node.accounts.getSealedContacts({});
    const book =
      version === 0n
        ? create(ContactBookSchema)
        : fromBinary(ContactBookSchema, openContacts(accountKey, sealedContacts, address));
    current = { version, book };
    return current;
  }

  return {
    async read() {
      return (current ?? (await load())).book.contacts;
    },
    async find(contactAddress) {
      return (await this.read()).find((contact) => contact.address === contactAddress);
    },
    async change(contactAddress, change) {
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const { version, book } = current ?? (await load());
        const changed = applyChange(book, contactAddress, change, env.now());
        try {
          const sealed = sealContacts(accountKey, toBinary(ContactBookSchema, changed), address);
          const put = await node.accounts.putSealedContacts({
            requestId: crypto.randomUUID(),
            expectedVersion: version,
            sealedContacts: sealed,
          });
          current = { version: put.version, book: changed };
          return;
        } catch (error) {
          const reason = toClientError(error);
          if (!(reason instanceof ClientError && reason.reason === "CONTACTS_CHANGED")) throw error;
          current = undefined;
        }
      }
      throw new ClientError("CONTACTS_CHANGED", "other devices keep changing the contacts: try again");
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

/** A copy of the book with one entry changed. */
function applyChange(
  book: ContactBook,
  address: string,
  change: (contact: Contact) => boolean | undefined,
  now: number,
): ContactBook {
  const before = book.contacts.find((contact) => contact.address === address);
  const entry = before
    ? clone(ContactSchema, before)
    : create(ContactSchema, { address, createdAt: BigInt(now) });
  const others = book.contacts.filter((contact) => contact.address !== address);
  const contacts = change(entry) === false ? others : [...others, entry];
  contacts.sort((a, b) => (a.address < b.address ? -1 : 1));
  return create(ContactBookSchema, { contacts });
}
