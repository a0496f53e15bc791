/**
 * Profiles: one account on this device each, as a private file in $XDG_CONFIG_HOME/keypears/profiles. It holds the session's
 * token, which is a credential, how the password is stretched, and what this device has seen of the account; never a password
 * or a key.
 */

import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { Seen, SeenContacts, SeenKeySet } from "../client/device-memory.ts";
import type { Credentials, PasswordStretching } from "../client/sign-in.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError, usageError } from "./failure.ts";
import {
  makePrivateFolder,
  readPrivateFile,
  requirePrivateFolder,
  writePrivateFile,
} from "./private-files.ts";

/** An account on this device. */
export interface Profile {
  /** Canonical. */
  readonly address: string;
  readonly apiUrl: string;
  /** Kept after the session has ended: a node that later names something weaker is refused. */
  readonly stretching: PasswordStretching;
  /** Kept after the session has ended: a node that later gives something older is refused. */
  readonly seen: Seen;
  /** Undefined when the profile is logged out. */
  readonly session: { readonly id: string; readonly token: string } | undefined;
  /** Development resolution that the account was made or logged in with. */
  readonly resolve: readonly string[];
}

const VERSION = 1;
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?$/;
/** 32 bytes, as salts and hashes have. */
const HEX_32 = /^(?:[0-9a-f]{2}){32}$/;
const UINT64 = /^(?:0|[1-9][0-9]{0,19})$/;

/** The folder of the tool's configuration. */
export function configFolder(): string {
  return join(xdgFolder("XDG_CONFIG_HOME", ".config"), "keypears");
}

/** Path of a profile's file. @throws CliError for a name that could leave the folder. */
export function profilePath(name: string): string {
  if (!NAME.test(name)) {
    throw usageError("a profile's name has 1 to 32 small letters, digits, dots, dashes or underscores");
  }
  return join(configFolder(), "profiles", `${name}.json`);
}

/** Reads a profile; undefined if there is none. @throws CliError `NOT_PRIVATE`, `PROFILE_INVALID`. */
export function findProfile(name: string): Profile | undefined {
  const path = profilePath(name);
  if (!requirePrivateFolder(configFolder()) || !requirePrivateFolder(join(configFolder(), "profiles")))
    return;
  const text = readPrivateFile(path);
  if (text === undefined) return;
  try {
    return fromJson(JSON.parse(text));
  } catch {
    // What the parser says would quote the file, which holds a credential.
    throw new CliError(
      "PROFILE_INVALID",
      EXIT.local,
      `the profile "${name}" is damaged or of another version`,
      "log in again after removing its file",
    );
  }
}

/** The profile with its session. @throws CliError `NOT_SIGNED_IN`. */
export function requireProfile(name: string): { profile: Profile; credentials: Credentials } {
  const profile = findProfile(name);
  if (!profile?.session) {
    const address = profile?.address ?? "ADDRESS";
    throw new CliError(
      "NOT_SIGNED_IN",
      EXIT.notSignedIn,
      `the profile "${name}" is not signed in`,
      `keypears account login ${address}, or keypears account create ${address}`,
    );
  }
  const { address, apiUrl, stretching, seen, session } = profile;
  return {
    profile,
    credentials: { address, apiUrl, stretching, seen, sessionId: session.id, sessionToken: session.token },
  };
}

/** Keeps the credentials of an account that has just been signed in. */
export function saveProfile(name: string, credentials: Credentials, resolve: readonly string[]): void {
  const { address, apiUrl, stretching, seen = {}, sessionId: id, sessionToken: token } = credentials;
  write(name, { address, apiUrl, stretching, seen, session: { id, token }, resolve });
}

/**
 * Changes a profile as it is now, which may be later than what a command began with: other processes use it too. Nothing is
 * written if `change` answers with what it was given, or if there is no profile any more.
 */
export function changeProfile(name: string, change: (profile: Profile) => Profile): void {
  const profile = findProfile(name);
  if (!profile) return;
  const changed = change(profile);
  if (changed !== profile) write(name, changed);
}

/** Forgets the session, and keeps what protects the next log-in. */
export function forgetSession(name: string): void {
  changeProfile(name, (profile) => ({ ...profile, session: undefined }));
}

/** Makes sure that a profile can be written, before something is done that it has to remember. */
export function prepareProfiles(name: string): void {
  profilePath(name);
  makePrivateFolder(configFolder());
  makePrivateFolder(join(configFolder(), "profiles"));
}

/** An XDG base folder (XDG Base Directory Specification 0.8): relative ones are to be ignored. */
export function xdgFolder(variable: string, fallback: string): string {
  const folder = process.env[variable];
  return folder !== undefined && isAbsolute(folder) ? folder : join(homedir(), fallback);
}

function write(name: string, profile: Profile): void {
  prepareProfiles(name);
  const { stretching, seen, ...rest } = profile;
  const { contacts, ownKeySet } = seen;
  const stored = {
    version: VERSION,
    ...rest,
    stretching: { ...stretching, salt: hexOf(stretching.salt) },
    seen: {
      ...(contacts && { contacts: { version: String(contacts.version), hash: hexOf(contacts.hash) } }),
      ...(ownKeySet && { ownKeySet: { number: ownKeySet.number, hash: hexOf(ownKeySet.hash) } }),
    },
  };
  writePrivateFile(profilePath(name), `${JSON.stringify(stored, null, 2)}\n`);
}

/** Throws whatever it meets where the shape is not the one that is written here. */
function fromJson(value: unknown): Profile {
  const { version, address, apiUrl, stretching, seen, session, resolve } = value as Record<string, unknown>;
  const { salt, memoryKiB, passes, lanes } = stretching as Record<string, unknown>;
  if (version !== VERSION) throw new TypeError("no profile");
  return {
    address: text(address),
    apiUrl: text(apiUrl),
    stretching: {
      salt: bytes32(salt),
      memoryKiB: count(memoryKiB),
      passes: count(passes),
      lanes: count(lanes),
    },
    seen: seen === undefined ? {} : seenOf(seen), // profiles of before have none
    session: session === undefined ? undefined : sessionOf(session),
    resolve: (resolve as unknown[]).map(text),
  };
}

function seenOf(value: unknown): Seen {
  const { contacts, ownKeySet } = value as Record<string, unknown>;
  return {
    contacts: contacts === undefined ? undefined : seenContactsOf(contacts),
    ownKeySet: ownKeySet === undefined ? undefined : seenKeySetOf(ownKeySet),
  };
}

function seenContactsOf(value: unknown): SeenContacts {
  const { version, hash } = value as Record<string, unknown>;
  if (!UINT64.test(text(version))) throw new TypeError("no version");
  return { version: BigInt(text(version)), hash: bytes32(hash) };
}

function seenKeySetOf(value: unknown): SeenKeySet {
  const { number, hash } = value as Record<string, unknown>;
  return { number: count(number), hash: bytes32(hash) };
}

function sessionOf(value: unknown): { id: string; token: string } {
  const { id, token } = value as Record<string, unknown>;
  return { id: text(id), token: text(token) };
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("no text");
  return value;
}

function count(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new TypeError("no number");
  return value as number;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function bytes32(value: unknown): Uint8Array {
  if (!HEX_32.test(text(value))) throw new TypeError("no 32 bytes");
  return new Uint8Array(Buffer.from(text(value), "hex"));
}
