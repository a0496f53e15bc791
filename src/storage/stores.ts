/**
 * What the rest of the node can ask of its database: one interface per table group, no SQL in sight. Every method is one
 * transaction: when its promise resolves, what it says is durable. Times are Unix milliseconds, ids are numbers of the
 * database's own, byte strings are `Uint8Array`. SQLite and PostgreSQL stand behind the same interfaces. What a method
 * expects to happen it answers; a database that fails, and a write for an account that is gone, throw a StorageError.
 */

import type { AccountStore, SessionStore } from "./stores/accounts.ts";
import type { ContactStore, NoticeStore } from "./stores/contacts.ts";
import type {
  AuditStore,
  DomainAccountStore,
  DomainStore,
  InvitationStore,
  PeerDomainStore,
} from "./stores/domains.ts";
import type { KeySetStore } from "./stores/key-sets.ts";
import type { OutboxStore } from "./stores/outbox.ts";
import type { ReceivedShareStore } from "./stores/received.ts";
import type { NodeKeyStore, SecretStore } from "./stores/secrets.ts";

export type * from "./stores/accounts.ts";
export type * from "./stores/contacts.ts";
export type * from "./stores/domains.ts";
export type * from "./stores/key-sets.ts";
export type * from "./stores/outbox.ts";
export type * from "./stores/received.ts";
export type * from "./stores/secrets.ts";

/** All stores of one database. */
export interface Stores {
  readonly accounts: AccountStore;
  readonly sessions: SessionStore;
  readonly keySets: KeySetStore;
  readonly received: ReceivedShareStore;
  readonly outbox: OutboxStore;
  readonly contacts: ContactStore;
  readonly notices: NoticeStore;
  readonly secrets: SecretStore;
  readonly peerDomains: PeerDomainStore;
  readonly domains: DomainStore;
  readonly invitations: InvitationStore;
  readonly domainAccounts: DomainAccountStore;
  readonly audit: AuditStore;
  readonly nodeKeys: NodeKeyStore;
}
