/**
 * The KeyPears client library: make an account or log in, publish keys, find and pin contacts, send and receive shares.
 * Runs in browsers and in Node.
 *
 *     const env = fetchEnvironment();
 *     const signedIn = await logIn(env, { address: "alice@acme.com", password, deviceName: "laptop" });
 *     const account = openAccount(env, signedIn, { onSeen: (seen) => keep({ ...signedIn.credentials, seen }) });
 *     await account.shares.send("bob@partner.com", { kind: "text", text: "the door code is 4711" });
 */

export { systemClock } from "../clock.ts";
export { displayAddress, parseAddress } from "../protocol/address.ts";
export type { DomainMemories } from "../protocol/domain-memories.ts";
export type { DomainMemory } from "../protocol/domain-memory.ts";
export { fingerprint } from "../protocol/fingerprint.ts";
export { type Account, AccountNoticeKind, ContactDecision, type Contacts, openAccount } from "./account.ts";
export { type KeepSeen, laterSeen, type Seen, type SeenContacts, type SeenKeySet } from "./device-memory.ts";
export type { LookedUp, Standing } from "./directory.ts";
export {
  bearer,
  type Environment,
  type FetchEnvironmentOptions,
  fetchEnvironment,
  type ResolvedHost,
} from "./environment.ts";
export { ClientError, type ClientReason } from "./errors.ts";
export type { KeyRing, OwnKeySet } from "./key-ring.ts";
export { type NodeClients, nodeClients } from "./rpc.ts";
export {
  type Box,
  DeliveryState,
  type DeliveryStatus,
  type OpenedShare,
  RejectionReason,
  type SentShare,
  type ShareContent,
  type ShareSummary,
  type Shares,
  type WatchEvent,
} from "./shares.ts";
export {
  type Credentials,
  createAccount,
  logIn,
  type PasswordStretching,
  type Progress,
  type SignedIn,
  unlock,
  type WorkOptions,
} from "./sign-in.ts";
