/**
 * The tables as Kysely sees them: the same on SQLite and PostgreSQL. Made by `migrations/`, where the indexes are explained.
 * Times are Unix milliseconds, 0 stands for "never", flags are 0 or 1, byte strings are blobs. Lists scan rows of numbers
 * and short texts only: the bytes of envelopes lie in tables of their own.
 */

import type { Generated } from "kysely";
import type {
  ContactStateName,
  DeliveryStateName,
  DestinationStanding,
  HostedStateName,
  RegistrationModeName,
} from "./stores.ts";

/** All tables by name. */
export interface Schema {
  accounts: AccountTable;
  spent_challenges: SpentChallengeTable;
  sessions: SessionTable;
  key_sets: KeySetTable;
  sealed_key_sets: SealedKeySetTable;
  sealed_contacts: SealedContactsTable;
  contacts: ContactTable;
  first_contacts: FirstContactTable;
  notices: NoticeTable;
  requests: RequestTable;
  sender_key_sets: SenderKeySetTable;
  received_shares: ReceivedShareTable;
  received_envelopes: EnvelopeTable;
  tombstones: TombstoneTable;
  sent_shares: SentShareTable;
  sent_envelopes: EnvelopeTable;
  outbox_destinations: OutboxDestinationTable;
  secrets: SecretTable;
  peer_domains: PeerDomainTable;
  hosted_domains: HostedDomainTable;
  invitations: InvitationTable;
  audit_records: AuditRecordTable;
  node_keys: NodeKeyTable;
}

/** Accounts. A deleted one keeps its row, so that its address stays taken. */
export interface AccountTable {
  id: Generated<number>;
  address: string;
  domain: string;
  created_at: number;
  deleted_at: number;
  /** 1 while shares of a deleted account are still being removed. */
  purging: number;
  active_key_number: number;
  password_salt: Uint8Array;
  password_memory_kib: number;
  password_passes: number;
  password_lanes: number;
  login_verifier: Uint8Array;
  wrapped_account_key: Uint8Array;
  wrap_number: number;
  stored_bytes: number;
  /** The sequence of the share received last. */
  last_sequence: number;
  /** The position of the share sent last. */
  last_position: number;
  /** Since when its domain's administrator has it suspended, or 0. */
  suspended_at: Generated<number>;
}

/** Creation challenges that were used, until they expire. */
export interface SpentChallengeTable {
  id: Uint8Array;
  expires_at: number;
}

/** Sessions. */
export interface SessionTable {
  id: string;
  token_hash: Uint8Array;
  account_id: number;
  device_name: string;
  created_at: number;
  last_used_at: number;
}

/** Published key sets. */
export interface KeySetTable {
  account_id: number;
  number: number;
  body: Uint8Array;
  hash: Uint8Array;
  self_signature: Uint8Array;
  continuity_signature: Uint8Array;
  created_at: number;
  revokes_previous: number;
  published_at: number;
}

/** Seeds of key sets, sealed by the client. */
export interface SealedKeySetTable {
  account_id: number;
  number: number;
  ed25519: Uint8Array;
  x25519: Uint8Array;
  ml_dsa_65: Uint8Array;
  ml_kem_768: Uint8Array;
}

/** The one sealed blob of contacts that an account's devices share. */
export interface SealedContactsTable {
  account_id: number;
  version: number;
  sealed: Uint8Array;
  updated_at: number;
}

/** What an account said about others; no row is `NONE`. */
export interface ContactTable {
  account_id: number;
  address: string;
  state: Exclude<ContactStateName, "NONE">;
  updated_at: number;
}

/** One row per accepted share of a sender without a conversation, for a day. */
export interface FirstContactTable {
  id: Generated<number>;
  account_id: number;
  sender_domain: string;
  accepted_at: number;
}

/** Security notices. */
export interface NoticeTable {
  id: Generated<number>;
  account_id: number;
  kind: number;
  created_at: number;
  device_name: string;
  key_set_number: number;
}

/** Results of idempotent requests, for a day. */
export interface RequestTable {
  account_id: number;
  request_id: string;
  method: string;
  fingerprint: Uint8Array;
  /** JSON. */
  result: string;
  expires_at: number;
}

/** Key sets of senders, once each, as long as a received share refers to them. */
export interface SenderKeySetTable {
  hash: Uint8Array;
  body: Uint8Array;
  self_signature: Uint8Array;
  continuity_signature: Uint8Array;
}

/** Received shares without their bytes. */
export interface ReceivedShareTable {
  id: Generated<number>;
  account_id: number;
  sequence: number;
  share_id: Uint8Array;
  sender: string;
  recipient: string;
  sender_key_number: number;
  sender_key_set_hash: Uint8Array;
  created_at: number;
  expires_at: number;
  ciphertext_bytes: number;
  /** What it counts against the quota. */
  stored_bytes: number;
  received_at: number;
  opened_at: number;
}

/** The bytes of a share, under the id of its row. */
export interface EnvelopeTable {
  id: number;
  header: Uint8Array;
  ciphertext: Uint8Array;
  signature: Uint8Array;
}

/** Ids of accepted envelopes, through deletion, so that no replay brings a share back. */
export interface TombstoneTable {
  account_id: number;
  share_id: Uint8Array;
  expires_at: number;
}

/** Sent shares without their bytes, with their delivery: the outbox. */
export interface SentShareTable {
  id: Generated<number>;
  account_id: number;
  position: number;
  share_id: Uint8Array;
  sender: string;
  sender_key_number: number;
  recipient: string;
  /** Domain of the recipient. */
  destination: string;
  created_at: number;
  expires_at: number;
  ciphertext_bytes: number;
  /** What it counts against the quota. */
  stored_bytes: number;
  sent_at: number;
  /** Not 0 once the sender deleted it while its delivery was under way: it is seen no more and goes when that ends. */
  deleted_at: number;
  /** Eight bytes, big-endian: the nonce is a uint64, which no integer column of PostgreSQL holds. */
  stamp_nonce: Uint8Array | null;
  state: DeliveryStateName;
  rejection_reason: number;
  message: string;
  attempts: number;
  /** When it may be leased: its next attempt while `QUEUED`, the end of its lease while `DELIVERING`, else null. */
  due_at: number | null;
  /** Token of the lease while `DELIVERING`, else null. */
  lease_token: string | null;
  updated_at: number;
}

/** Where sent shares go: every destination that something waits for, and those that answered lately. */
export interface OutboxDestinationTable {
  destination: string;
  standing: DestinationStanding;
  /** The lowest `due_at` of its shares, or null if nothing waits for it. */
  due_at: number | null;
  /** Since when nothing has been waiting, else null. */
  idle_since: number | null;
}

/** Secrets that all processes and nodes of the database share. */
export interface SecretTable {
  name: string;
  value: Uint8Array;
}

/** Domains that are hosted for their owners. The node's own are in its configuration. */
export interface HostedDomainTable {
  domain: string;
  /** Address of an account of this node. */
  administrator: string;
  state: HostedStateName;
  registration_mode: RegistrationModeName;
  /** The owner's consent: a DomainProof without time, node key and signature. */
  consent: Uint8Array;
  domain_key_hash: Uint8Array;
  serial: number;
  not_after: number;
  min_serial: number;
  /** What the last check found, as JSON. */
  checks: string;
  checked_at: number;
  /** Since when checks have failed, or 0. */
  failing_since: number;
  next_check_at: number;
  claimed_at: number;
}

/** Invitations that were not used and may not have expired. */
export interface InvitationTable {
  id: string;
  domain: string;
  /** The only name that may be taken; empty for any. */
  name: string;
  code_hash: Uint8Array;
  created_at: number;
  expires_at: number;
}

/** What was done to domains. The database refuses to change or delete a row. */
export interface AuditRecordTable {
  domain: string;
  /** Counts the domain's records from 1. */
  sequence: number;
  /** An AuditRecordBody in canonical encoding. */
  body: Uint8Array;
  hash: Uint8Array;
}

/** Keys with which this node proves what it hosts, one after the other. */
export interface NodeKeyTable {
  /** From 1. */
  number: number;
  secret_key: Uint8Array;
  active_from: number;
}

/** What other domains have proven. Hashes are in hex; all of "pending" is empty or 0 while no key waits. */
export interface PeerDomainTable {
  domain: string;
  /** Counts the row's changes, from 1. */
  revision: number;
  key_hash: string;
  serial: number;
  body_hash: string;
  txt_seen: number;
  proven_at: number;
  pending_key_hash: string;
  pending_since: number;
  pending_last_seen: number;
}
