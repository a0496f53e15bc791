/** What an authorization is to say, from the command line and from the one before; and its signing. */

import { readFileSync } from "node:fs";
import { COMPOSITE_PUBLIC_KEY_LENGTH } from "../../../crypto/composite.ts";
import { CryptoError, fromBase64, fromHex } from "../../../crypto/index.ts";
import { parseApiUrl } from "../../../protocol/api-url.ts";
import {
  type AuthorizationTerms,
  buildAuthorization,
  parseAuthorizationBody,
} from "../../../protocol/domain-authorization.ts";
import type { CompositeKeyPair } from "../../../protocol/domain-key.ts";
import { MAX_AUTHORIZATION_MS, MAX_AUTHORIZED_NODE_KEYS } from "../../../protocol/limits.ts";
import type { CommandContext } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { codeOf } from "../../private-files.ts";
import { visible } from "../../visible.ts";
import {
  authorizationPathOf,
  describeAuthorization,
  type OwnedAuthorization,
  writeAuthorizationFile,
} from "./authorization-file.ts";
import type { DomainKeyFile } from "./key-file.ts";
import { type DomainState, writeState } from "./state-file.ts";

type Options = Readonly<Record<string, unknown>>;

/** Terms without a serial, which is taken last. */
export type Consent = Omit<AuthorizationTerms, "domain" | "serial">;

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 365;
const MAX_DAYS = MAX_AUTHORIZATION_MS / DAY_MS;

/** Whether development URLs are taken: where development resolution is asked for. */
export function urlOptionsOf(context: CommandContext) {
  return { allowInsecure: context.resolve.length > 0 };
}

/**
 * Which host, which of its keys, how long. What is not said is as in the authorization before.
 *
 * @throws CliError `USAGE`, `FILE_FAILED`; ProtocolError API_URL_INVALID.
 */
export function consentOf(
  context: CommandContext,
  options: Options,
  before: DomainState | undefined,
): Consent {
  const urlOptions = urlOptionsOf(context);
  const last = before?.authorization && parseAuthorizationBody(before.authorization.body, urlOptions);
  const apiUrl =
    typeof options.apiUrl === "string" ? parseApiUrl(options.apiUrl, urlOptions).href : last?.apiUrl;
  if (apiUrl === undefined) {
    throw usageError(
      "--api-url is needed",
      "say where the host's methods live, such as https://host.example/api",
    );
  }
  const named = Array.isArray(options.nodeKey)
    ? options.nodeKey.map((key) => readNodeKey(String(key)))
    : undefined;
  if (named === undefined && last !== undefined && last.apiUrl !== apiUrl) {
    throw usageError("--node-key is needed: another host has other keys", "ask the host for its node keys");
  }
  const nodePublicKeys = named ?? last?.nodePublicKeys;
  if (nodePublicKeys === undefined)
    throw usageError("--node-key is needed", "ask the host for its node keys");
  if (nodePublicKeys.length > MAX_AUTHORIZED_NODE_KEYS) {
    throw usageError(`at most ${MAX_AUTHORIZED_NODE_KEYS} node keys can be authorized`);
  }
  const notBefore = Date.now();
  return { apiUrl, nodePublicKeys, notBefore, notAfter: notBefore + daysOf(options.days) * DAY_MS };
}

/** Signs an authorization with the serial of `state`, and keeps it there and in the file for the host. */
export function signAuthorization(
  context: CommandContext,
  at: { readonly keyPath: string; readonly out: unknown },
  state: DomainState,
  file: DomainKeyFile,
  { secretKey, publicKey }: CompositeKeyPair,
  consent: Consent,
): { readonly owned: OwnedAuthorization; readonly path: string } {
  const { domain, serial } = state;
  const urlOptions = urlOptionsOf(context);
  const authorization = buildAuthorization({ domain, serial, ...consent }, secretKey, urlOptions);
  writeState(at.keyPath, { ...state, authorization });
  const terms = parseAuthorizationBody(authorization.body, urlOptions);
  const owned = { terms, authorization, domainPublicKey: publicKey, rotations: file.rotations };
  const path = typeof at.out === "string" ? at.out : authorizationPathOf(at.keyPath);
  writeAuthorizationFile(path, owned);
  return { owned, path };
}

/** An authorization in lines for people. */
export function authorizationLines(owned: OwnedAuthorization): string[] {
  const says = describeAuthorization(owned);
  return [
    `  host       ${says.apiUrl}`,
    ...says.nodeKeys.map((hash) => `  node key   ${hash.slice(0, 16)}…`),
    `  serial     ${says.serial}`,
    `  until      ${says.notAfter.slice(0, 10)}`,
  ];
}

function daysOf(option: unknown): number {
  if (option === undefined) return DEFAULT_DAYS;
  const days = /^[1-9][0-9]{0,3}$/.test(String(option)) ? Number(option) : Number.NaN;
  if (!(days <= MAX_DAYS)) throw usageError(`--days must be a whole number from 1 to ${MAX_DAYS}`);
  return days;
}

/** A node key in hex, or the path of a file with it in hex or base64. */
function readNodeKey(text: string): Uint8Array {
  const key = keyIn(text) ?? keyIn(contentOf(text));
  if (key === undefined) {
    throw usageError(
      `--node-key must be ${COMPOSITE_PUBLIC_KEY_LENGTH} bytes in hex, or a file with them in hex or base64`,
    );
  }
  return key;
}

function keyIn(text: string): Uint8Array | undefined {
  const spelled = text.trim();
  try {
    const key = /^[0-9a-f]+$/.test(spelled) ? fromHex(spelled) : fromBase64(spelled);
    return key.length === COMPOSITE_PUBLIC_KEY_LENGTH ? key : undefined;
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const message = `cannot read the node key at ${visible(path)}: ${codeOf(error)}`;
    throw new CliError("FILE_FAILED", EXIT.local, message, "give the key in hex, or a file that holds it");
  }
}
