/**
 * Making an account, logging in, and opening the account key with the password (docs/protocol.md, section 5). The password
 * is stretched here and goes nowhere; the node sees a login key that opens nothing.
 */

import { create } from "@bufbuild/protobuf";
import {
  type PasswordParameters,
  PasswordParametersSchema,
  type WrappedAccountKey,
  WrappedAccountKeySchema,
} from "../../gen/keypears/v1/account_service_pb.ts";
import { generateAccountKey, unwrapAccountKey, wrapAccountKey } from "../crypto/account-key.ts";
import { wipe } from "../crypto/bytes.ts";
import { CHALLENGE_ID_LENGTH } from "../crypto/challenge.ts";
import { CryptoError } from "../crypto/errors.ts";
import {
  DEFAULT_PASSWORD_COST,
  generatePasswordSalt,
  loginKey,
  passwordKey,
  requirePasswordCost,
  wrappingKey,
} from "../crypto/password.ts";
import { stampKey } from "../crypto/stamp.ts";
import { type Address, parseAddress } from "../protocol/address.ts";
import { buildKeySet, parseKeySetBody } from "../protocol/key-set.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { Seen } from "./device-memory.ts";
import type { Environment } from "./environment.ts";
import { ClientError, call } from "./errors.ts";
import { generateSeeds, sealSeeds } from "./key-ring.ts";
import { type NodeClients, nodeClients } from "./rpc.ts";
import { earnStamp } from "./stamps.ts";

/** How a password is stretched. A device keeps this, and refuses a node that later names something weaker. */
export interface PasswordStretching {
  /** 32 bytes. */
  readonly salt: Uint8Array;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
}

/** What a device keeps to act for an account. The token is a secret; nothing here opens anything. */
export interface Credentials {
  /** Canonical. */
  readonly address: string;
  readonly apiUrl: string;
  readonly sessionId: string;
  readonly sessionToken: string;
  readonly stretching: PasswordStretching;
  /** What the device has seen. Keep it after the session has ended, and give it to the next log-in to the same address. */
  readonly seen?: Seen | undefined;
}

/** A device that is signed in, and the account key, 32 bytes, which it keeps in memory only. */
export interface SignedIn {
  readonly credentials: Credentials;
  readonly accountKey: Uint8Array;
}

/** What takes time while signing in or sending. */
export type Progress =
  | { readonly step: "password" }
  | { readonly step: "stamp"; readonly tries: number; readonly expected: number };

/** How to follow and end long work. */
export interface WorkOptions {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Makes an account at the node of its domain, with key set number 1.
 *
 * @param input.invitationCode of an invitation, where the domain or the name needs one.
 * @throws ClientError ADDRESS_TAKEN, REGISTRATION_CLOSED, INVITATION_REQUIRED and others of the node's.
 */
export function createAccount(
  env: Environment,
  input: {
    readonly address: string;
    readonly password: string;
    readonly deviceName: string;
    readonly invitationCode?: string;
  },
  options: WorkOptions = {},
): Promise<SignedIn> {
  return call(async () => {
    const { address, apiUrl, node } = await findOwnNode(env, input.address, options.signal);
    const { challenge, nonce } = await earnCreation(node, address, options);
    const stretching: PasswordStretching = { salt: generatePasswordSalt(), ...DEFAULT_PASSWORD_COST };
    const keys = await passwordKeys(input.password, address.canonical, stretching, options);
    const accountKey = generateAccountKey();
    const seeds = generateSeeds();
    try {
      const keySet = buildKeySet({ address: address.canonical, createdAt: env.now(), seeds });
      const response = await node.accounts.createAccount(
        {
          address: address.canonical,
          challenge,
          nonce,
          passwordParameters: toMessage(stretching),
          loginKey: keys.loginKey,
          wrappedAccountKey: wrapForPassword(keys.wrappingKey, accountKey, address.canonical, 1),
          keySet,
          sealedKeys: sealSeeds(accountKey, seeds, address.canonical, 1),
          deviceName: input.deviceName,
          invitationCode: input.invitationCode ?? "",
        },
        callOptions(options),
      );
      const { number, hash } = parseKeySetBody(keySet.body);
      const seen = { ownKeySet: { number, hash } };
      return signedIn({ address: address.canonical, apiUrl, stretching, seen }, response, accountKey);
    } finally {
      wipe(keys.loginKey, keys.wrappingKey, ...Object.values(seeds));
    }
  });
}

/**
 * Opens a session at the node of the address's domain.
 *
 * @param input.known what this device knows of the password's stretching. A node that names another salt or a lower cost is
 *   refused: it could be after a password that is easier to guess.
 * @param input.seen what this device has seen of the account before. Left out, the device takes whatever the node gives.
 * @throws ClientError LOGIN_FAILED, ADDRESS_UNKNOWN, PASSWORD_PARAMETERS_CHANGED.
 */
export function logIn(
  env: Environment,
  input: {
    readonly address: string;
    readonly password: string;
    readonly deviceName: string;
    readonly known?: PasswordStretching | undefined;
    readonly seen?: Seen | undefined;
  },
  options: WorkOptions = {},
): Promise<SignedIn> {
  return call(async () => {
    const { address, apiUrl, node } = await findOwnNode(env, input.address, options.signal);
    const parameters = await node.accounts.getLoginParameters(
      { address: address.canonical },
      callOptions(options),
    );
    const stretching = readParameters(parameters.passwordParameters, input.known);
    const keys = await passwordKeys(input.password, address.canonical, stretching, options);
    try {
      const response = await node.accounts.logIn(
        { address: address.canonical, loginKey: keys.loginKey, deviceName: input.deviceName },
        callOptions(options),
      );
      const accountKey = openAccountKey(keys.wrappingKey, response.wrappedAccountKey, address.canonical);
      const known = { address: address.canonical, apiUrl, stretching, seen: input.seen };
      return signedIn(known, response, accountKey);
    } finally {
      wipe(keys.loginKey, keys.wrappingKey);
    }
  });
}

/**
 * Opens the account key of a device that is signed in, with the password.
 *
 * @throws ClientError PASSWORD_WRONG, or SESSION_INVALID when the session has ended.
 */
export function unlock(
  env: Environment,
  credentials: Credentials,
  password: string,
  options: WorkOptions = {},
): Promise<Uint8Array> {
  return call(async () => {
    const node = nodeClients(env, credentials.apiUrl, () => credentials.sessionToken);
    const { wrappedAccountKey } = await node.accounts.getSealedKeys({}, callOptions(options));
    const keys = await passwordKeys(password, credentials.address, credentials.stretching, options);
    try {
      return openAccountKey(keys.wrappingKey, wrappedAccountKey, credentials.address);
    } finally {
      wipe(keys.loginKey, keys.wrappingKey);
    }
  });
}

/** The login key of a password, 32 bytes, for what needs it beside a session. The caller wipes it. */
export async function loginKeyOf(
  credentials: Credentials,
  password: string,
  options: WorkOptions,
): Promise<Uint8Array> {
  const keys = await passwordKeys(password, credentials.address, credentials.stretching, options);
  wipe(keys.wrappingKey);
  return keys.loginKey;
}

/**
 * Replaces the password; all other sessions of the account end. Answers with the new credentials.
 *
 * @throws ClientError LOGIN_FAILED when the present password is wrong.
 */
export function changePassword(
  env: Environment,
  signed: SignedIn,
  passwords: { readonly current: string; readonly next: string },
  options: WorkOptions = {},
): Promise<{ readonly credentials: Credentials; readonly revokedSessions: number }> {
  return call(async () => {
    const { credentials, accountKey } = signed;
    const node = nodeClients(env, credentials.apiUrl, () => credentials.sessionToken);
    const { wrappedAccountKey } = await node.accounts.getSealedKeys({}, callOptions(options));
    const stretching: PasswordStretching = { salt: generatePasswordSalt(), ...DEFAULT_PASSWORD_COST };
    const current = await passwordKeys(
      passwords.current,
      credentials.address,
      credentials.stretching,
      options,
    );
    const next = await passwordKeys(passwords.next, credentials.address, stretching, options);
    try {
      const number = (wrappedAccountKey?.number ?? 0) + 1;
      const { revokedSessions } = await node.accounts.changePassword(
        {
          requestId: crypto.randomUUID(),
          loginKey: current.loginKey,
          passwordParameters: toMessage(stretching),
          newLoginKey: next.loginKey,
          wrappedAccountKey: wrapForPassword(next.wrappingKey, accountKey, credentials.address, number),
        },
        callOptions(options),
      );
      return { credentials: { ...credentials, stretching }, revokedSessions };
    } finally {
      wipe(current.loginKey, current.wrappingKey, next.loginKey, next.wrappingKey);
    }
  });
}

async function findOwnNode(env: Environment, text: string, signal: AbortSignal | undefined) {
  const address: Address = parseAddress(text);
  const { apiUrl } = await env.resolveDomain(address.domain, signal);
  return { address, apiUrl, node: nodeClients(env, apiUrl) };
}

/** Does the work that an open node asks of those who make an account. */
async function earnCreation(node: NodeClients, address: Address, options: WorkOptions) {
  const { challenge, difficulty } = await node.accounts.getCreationChallenge(
    { address: address.canonical },
    callOptions(options),
  );
  const key = stampKey(challenge.subarray(0, CHALLENGE_ID_LENGTH), address.canonical);
  return { challenge, nonce: await earnStamp(key, difficulty, options) };
}

async function passwordKeys(
  password: string,
  address: string,
  stretching: PasswordStretching,
  options: WorkOptions,
) {
  options.onProgress?.({ step: "password" });
  const { salt, ...cost } = stretching;
  const key = await passwordKey(password, address, salt, cost);
  options.signal?.throwIfAborted();
  const keys = { loginKey: loginKey(key), wrappingKey: wrappingKey(key) };
  wipe(key);
  return keys;
}

function readParameters(
  parameters: PasswordParameters | undefined,
  known: PasswordStretching | undefined,
): PasswordStretching {
  if (!parameters) throw new ClientError("NODE_ANSWER_INVALID", "the node names no password parameters");
  const { salt, memoryKib: memoryKiB, passes, lanes } = parameters;
  requirePasswordCost({ memoryKiB, passes, lanes });
  if (known && (!sameBytes(known.salt, salt) || memoryKiB < known.memoryKiB || passes < known.passes)) {
    throw new ClientError(
      "PASSWORD_PARAMETERS_CHANGED",
      "the node names another salt or a lower cost than this device knows: if the password was not changed elsewhere, do not enter it",
    );
  }
  return { salt, memoryKiB, passes, lanes };
}

function toMessage({ salt, memoryKiB, passes, lanes }: PasswordStretching): PasswordParameters {
  return create(PasswordParametersSchema, { salt, memoryKib: memoryKiB, passes, lanes });
}

function wrapForPassword(
  key: Uint8Array,
  accountKey: Uint8Array,
  address: string,
  number: number,
): WrappedAccountKey {
  const wrappedKey = wrapAccountKey(key, accountKey, { address, kind: "password", number });
  return create(WrappedAccountKeySchema, { kind: "password", number, wrappedKey });
}

function openAccountKey(
  key: Uint8Array,
  wrapped: WrappedAccountKey | undefined,
  address: string,
): Uint8Array {
  if (!wrapped) throw new ClientError("NODE_ANSWER_INVALID", "the node has no wrapped account key");
  try {
    return unwrapAccountKey(key, wrapped.wrappedKey, { address, kind: "password", number: wrapped.number });
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new ClientError("PASSWORD_WRONG", "the password does not open this account", { cause });
  }
}

function signedIn(
  known: Omit<Credentials, "sessionId" | "sessionToken">,
  { sessionToken, session }: { sessionToken: string; session?: { id: string } | undefined },
  accountKey: Uint8Array,
): SignedIn {
  if (!session) throw new ClientError("NODE_ANSWER_INVALID", "the node opened no session");
  return { credentials: { ...known, sessionId: session.id, sessionToken }, accountKey };
}

function callOptions({ signal }: WorkOptions): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}
