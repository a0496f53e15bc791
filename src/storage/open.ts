/**
 * Opens the database that a URL names and puts the stores on it. The driver is loaded only now, and only the one that is
 * needed: start-up time is part of what every command costs.
 */

import { createAccountStore } from "./accounts.ts";
import { createAuditStore } from "./audit.ts";
import { createContactStore } from "./contacts.ts";
import type { Database, Dialect } from "./database.ts";
import { createDomainAccountStore } from "./domain-accounts.ts";
import { createDomainStore } from "./domains.ts";
import { StorageError } from "./errors.ts";
import { createInvitationStore } from "./invitations.ts";
import { createKeySetStore } from "./key-sets.ts";
import { migrateToLatest } from "./migrations/index.ts";
import { createNodeKeyStore } from "./node-keys.ts";
import { createNoticeStore } from "./notices.ts";
import { createOutboxStore } from "./outbox.ts";
import { createPeerDomainStore } from "./peer-domains.ts";
import { createReceivedShareStore } from "./received-shares.ts";
import { createSecretStore } from "./secrets.ts";
import { createSessionStore } from "./sessions.ts";
import type { Stores } from "./stores.ts";

/** All stores, and the life of the database behind them. */
export interface Storage extends Stores {
  readonly dialect: Dialect;
  /** Brings the tables up to date; harmless if they are. Several processes may ask at once. @throws StorageError */
  migrate(): Promise<void>;
  /** Waits for writes under way, then closes. Later calls of any store throw `DATABASE_UNAVAILABLE`. */
  close(): Promise<void>;
}

/** What to open. */
export interface StorageOptions {
  /** `sqlite:/path/file.db`, `sqlite::memory:` or `postgres://user:password@host:port/database`. */
  readonly url: string;
  /** Connections to PostgreSQL at most; 10 if left out. */
  readonly connections?: number;
  /** Whether a pooler stands before PostgreSQL that may give every transaction another session. */
  readonly pooled?: boolean;
  /** Clock of leases, in place of the database's own: for tests. */
  readonly clock?: () => number;
  /** Whether to bring the tables up to date first; true if left out. */
  readonly migrate?: boolean;
}

/**
 * Opens a database.
 *
 *     const storage = await openStorage({ url: "sqlite:/var/lib/keypears/node.db" });
 *
 * @throws StorageError
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const database = await openDatabase(options);
  const storage = createStorage(database, () => migrate(options, database));
  if (options.migrate === false) return storage;
  try {
    await storage.migrate();
  } catch (error) {
    await database.close();
    throw error;
  }
  return storage;
}

/** Puts the stores on an open database. */
export function createStorage(database: Database, migrate = () => migrateToLatest(database)): Storage {
  return {
    dialect: database.dialect,
    accounts: createAccountStore(database),
    sessions: createSessionStore(database),
    keySets: createKeySetStore(database),
    received: createReceivedShareStore(database),
    outbox: createOutboxStore(database),
    contacts: createContactStore(database),
    notices: createNoticeStore(database),
    secrets: createSecretStore(database),
    peerDomains: createPeerDomainStore(database),
    domains: createDomainStore(database),
    invitations: createInvitationStore(database),
    domainAccounts: createDomainAccountStore(database),
    audit: createAuditStore(database),
    nodeKeys: createNodeKeyStore(database),
    migrate,
    close: () => database.close(),
  };
}

/** Opens a database for what takes as long as it takes, such as migrations and copies; its tables are left alone. */
export function openForMaintenance(url: string, pooled = false): Promise<Database> {
  return openDatabase({ url, pooled, connections: 1, unhurried: true });
}

async function migrate({ url, pooled }: StorageOptions, database: Database): Promise<void> {
  if (database.dialect === "sqlite") return migrateToLatest(database);
  const { checkServer } = await import("./postgres-server.ts");
  await checkServer(database);
  const unhurried = await openForMaintenance(url, pooled);
  try {
    await migrateToLatest(unhurried);
  } finally {
    await unhurried.close();
  }
}

async function openDatabase(options: StorageOptions & { readonly unhurried?: boolean }): Promise<Database> {
  const { url, ...settings } = options;
  if (url.startsWith("sqlite:")) {
    const { openSqlite } = await import("./sqlite.ts");
    return openSqlite(url.slice("sqlite:".length), {
      clock: settings.clock,
      exclusive: settings.unhurried,
    });
  }
  if (url.startsWith("postgres://") || url.startsWith("postgresql://")) {
    const { openPostgres } = await import("./postgres.ts");
    return openPostgres(url, settings);
  }
  throw new StorageError("DATABASE_CONFIGURATION", {
    message: "database URL must begin with sqlite: or postgres://",
  });
}
