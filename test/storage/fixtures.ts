/** What the storage tests are made of: databases to run on, and records that are valid in shape, their bytes random. */

import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStorage, type Storage } from "../../src/storage/open.ts";
import type {
  Acceptance,
  EnvelopeRecord,
  KeySetRecord,
  NewAccount,
  NewNotice,
  NewSession,
  PasswordRecord,
  RequestKey,
  SealedKeySetRecord,
  SenderKeySet,
} from "../../src/storage/stores.ts";
import type { PostgresServer } from "./postgres.ts";

/** A clock's value for tests: some day in 2027. */
export const NOW = 1_800_000_000_000;
export const SECOND = 1_000;
export const DAY = 86_400_000;
export const MAX_BYTES = 100_000_000;

/** A database that tests run on. */
export interface Backend {
  /** URL of an empty database that {@link Backend.stop} removes. */
  createUrl(): Promise<string>;
  /** Whether a second storage can open the same URL. */
  readonly shareable: boolean;
  stop(): Promise<void>;
}

export async function memoryBackend(): Promise<Backend> {
  return { shareable: false, createUrl: async () => "sqlite::memory:", stop: async () => {} };
}

export async function fileBackend(): Promise<Backend> {
  const folder = await mkdtemp(join(tmpdir(), "keypears-storage-"));
  return {
    shareable: true,
    createUrl: async () => `sqlite:${join(folder, `${randomUUID()}.db`)}`,
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}

export function postgresBackend(server: PostgresServer): Backend {
  return { shareable: true, createUrl: () => server.createDatabase(), stop: () => server.stop() };
}

/** Opens storages and closes them when the test ends. */
export class Storages {
  readonly #backend: Backend;
  readonly #open: Storage[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** A storage on an empty database. */
  async fresh(): Promise<Storage> {
    return this.at(await this.#backend.createUrl());
  }

  /** Two storages on one empty database, as two processes have them; the same one twice where it cannot be shared. */
  async pair(): Promise<readonly [Storage, Storage]> {
    const url = await this.#backend.createUrl();
    const first = await this.at(url);
    return [first, this.#backend.shareable ? await this.at(url) : first];
  }

  /** A storage on an empty database, and the URL at which others can open it; undefined where nobody else can. */
  async freshWithUrl(): Promise<{ readonly storage: Storage; readonly url: string | undefined }> {
    const url = await this.#backend.createUrl();
    return { storage: await this.at(url), url: this.#backend.shareable ? url : undefined };
  }

  async at(url: string): Promise<Storage> {
    const storage = await openStorage({ url });
    this.#open.push(storage);
    return storage;
  }

  async close(): Promise<void> {
    for (const storage of this.#open.splice(0)) await storage.close();
  }
}

export function bytes(length = 32): Uint8Array {
  return new Uint8Array(randomBytes(length));
}

export function password(wrapNumber = 1): PasswordRecord {
  return {
    salt: bytes(),
    memoryKiB: 65_536,
    passes: 3,
    lanes: 1,
    loginVerifier: bytes(),
    wrappedAccountKey: bytes(60),
    wrapNumber,
  };
}

export function keySet(number = 1, createdAt = NOW, revokesPrevious = false): KeySetRecord {
  return {
    number,
    body: bytes(3_200),
    hash: bytes(),
    selfSignature: bytes(3_373),
    continuitySignature: number === 1 ? new Uint8Array(0) : bytes(3_373),
    createdAt,
    revokesPrevious,
  };
}

export function sealedKeys(number = 1): SealedKeySetRecord {
  return { number, ed25519: bytes(60), x25519: bytes(60), mlDsa65: bytes(60), mlKem768: bytes(92) };
}

export function session(createdAt = NOW, deviceName = "laptop"): NewSession {
  return { id: randomBytes(16).toString("hex"), tokenHash: bytes(), deviceName, createdAt };
}

export function account(address: string, changes: Partial<NewAccount> = {}): NewAccount {
  return {
    address,
    domain: address.slice(address.lastIndexOf("@") + 1),
    createdAt: NOW,
    password: password(),
    keySet: keySet(),
    sealedKeys: sealedKeys(),
    session: session(),
    ...changes,
  };
}

/** Makes an account and answers with its id. */
export async function createAccount(
  storage: Storage,
  address: string,
  changes: Partial<NewAccount> = {},
): Promise<number> {
  const result = await storage.accounts.create(account(address, changes));
  if (result.kind !== "created") throw new Error(`account was not created: ${result.kind}`);
  return result.accountId;
}

export function request(method = "Method"): RequestKey {
  return { id: randomUUID(), method, fingerprint: bytes() };
}

export function notice(createdAt = NOW, keySetNumber = 0): NewNotice {
  return { kind: 1, createdAt, deviceName: "laptop", keySetNumber };
}

export function envelope(changes: Partial<EnvelopeRecord> = {}): EnvelopeRecord {
  return {
    shareId: bytes(),
    sender: "alice@acme.test",
    senderKeyNumber: 1,
    recipient: "bob@partner.test",
    createdAt: NOW,
    expiresAt: 0,
    header: bytes(300),
    ciphertext: bytes(512),
    signature: bytes(3_373),
    ...changes,
  };
}

/** What one envelope made by {@link envelope} counts against a quota. */
export const ENVELOPE_BYTES = 300 + 512 + 3_373;

export function senderKeySet(): SenderKeySet {
  return {
    hash: bytes(),
    body: bytes(3_200),
    selfSignature: bytes(3_373),
    continuitySignature: new Uint8Array(0),
  };
}

export function acceptance(accountId: number, changes: Partial<Acceptance> = {}): Acceptance {
  return {
    accountId,
    envelope: envelope(),
    senderDomain: "acme.test",
    senderKeySet: senderKeySet(),
    now: NOW,
    tombstoneUntil: NOW + 7 * DAY,
    firstContact: false,
    maxFirstContacts: 20,
    maxStoredBytes: MAX_BYTES,
    ...changes,
  };
}

/** Accepts as many shares and answers with their acceptances. */
export async function acceptMany(storage: Storage, accountId: number, count: number): Promise<Acceptance[]> {
  const acceptances = Array.from({ length: count }, () => acceptance(accountId));
  await storage.received.accept(acceptances);
  return acceptances;
}

/** Queues a share and answers with its envelope. */
export async function enqueue(
  storage: Storage,
  accountId: number,
  changes: Partial<Parameters<Storage["outbox"]["enqueue"]>[0]> = {},
): Promise<EnvelopeRecord> {
  const share = {
    accountId,
    envelope: envelope(),
    recipientDomain: "partner.test",
    stampNonce: undefined,
    now: NOW,
    maxStoredBytes: MAX_BYTES,
    maxContacts: 1_000,
    ...changes,
  };
  const result = await storage.outbox.enqueue(share);
  if (result.kind !== "queued") throw new Error(`share was not queued: ${result.kind}`);
  return share.envelope;
}

/** Numbers from `from` to `to`, both included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
