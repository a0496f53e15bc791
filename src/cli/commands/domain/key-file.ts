/**
 * The file of a domain key on its owner's machine: the secret key sealed under a password, the public key and the changes that
 * led to it in the clear. Nothing of it ever has to be on a server; what others need is made from it.
 */

import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type DomainKeyRotation, DomainKeyRotationSchema } from "../../../../gen/keypears/v1/domain_pb.ts";
import {
  CryptoError,
  DEFAULT_PASSWORD_COST,
  fromBase64,
  generatePasswordSalt,
  openDomainKey,
  sealDomainKey,
  toBase64,
  toHex,
} from "../../../crypto/index.ts";
import { type CompositeKeyPair, domainKeyHash } from "../../../protocol/domain-key.ts";
import { verifyRotations } from "../../../protocol/domain-rotation.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import {
  codeOf,
  makePrivateFolder,
  readPrivateFile,
  replaceFile,
  writeNewFile,
} from "../../private-files.ts";
import { configFolder } from "../../profile.ts";
import { visible } from "../../visible.ts";

/** A domain key as its file has it. */
export interface DomainKeyFile {
  /** Canonical. */
  readonly domain: string;
  /** 1,984 bytes. */
  readonly publicKey: Uint8Array;
  /** BLAKE3 of the public key, in hex: `domainPubKeyHash`. */
  readonly publicKeyHash: string;
  /** Verified, oldest first; the last one leads to `publicKey`. */
  readonly rotations: readonly DomainKeyRotation[];
  readonly salt: Uint8Array;
  readonly cost: typeof DEFAULT_PASSWORD_COST;
  readonly sealedSecretKey: Uint8Array;
}

const VERSION = 1;

/** Where a domain's key is: `--key` or `--out`, else in the folder of the tool's configuration. */
export function keyPathOf(domain: string, option: unknown): string {
  return typeof option === "string" ? resolve(option) : join(configFolder(), "domains", `${domain}.key`);
}

/** Seals a key pair under a password. */
export async function sealedKeyFile(
  domain: string,
  { secretKey, publicKey }: CompositeKeyPair,
  password: string,
  rotations: readonly DomainKeyRotation[] = [],
): Promise<DomainKeyFile> {
  const salt = generatePasswordSalt();
  const cost = DEFAULT_PASSWORD_COST;
  const sealedSecretKey = await sealDomainKey(password, secretKey, { domain, publicKey, salt, cost });
  const publicKeyHash = toHex(domainKeyHash(publicKey));
  return { domain, publicKey, publicKeyHash, rotations, salt, cost, sealedSecretKey };
}

/** Refuses a path at which there is something. @throws CliError `FILE_EXISTS`. */
export function requireNoFile(path: string): void {
  if (!existsSync(path)) return;
  throw new CliError(
    "FILE_EXISTS",
    EXIT.local,
    `${visible(path)} is there already, and what is in it cannot be made again`,
    "name another with --out; to change a domain's key: keypears domain rotate-key DOMAIN",
  );
}

/** Writes the file of a new key, readable by this user alone. @throws CliError `FILE_EXISTS`, `FILE_FAILED`. */
export function writeNewKeyFile(path: string, file: DomainKeyFile): void {
  prepareFolder(path);
  try {
    writeNewFile(path, encode(file));
  } catch (error) {
    if (codeOf(error) === "EEXIST") requireNoFile(path);
    throw writeFailed(path, error);
  }
}

/** Puts a new key in the place of the one before, as a whole or not at all. @throws CliError `FILE_FAILED`. */
export function replaceKeyFile(path: string, file: DomainKeyFile): void {
  try {
    replaceFile(path, encode(file));
  } catch (error) {
    throw writeFailed(path, error);
  }
}

/**
 * Reads a key file.
 *
 * @throws CliError `DOMAIN_KEY_MISSING`, `DOMAIN_KEY_INVALID`, `NOT_PRIVATE`.
 */
export function readKeyFile(path: string, domain: string): DomainKeyFile {
  const text = readPrivateFile(path);
  if (text === undefined) {
    throw new CliError(
      "DOMAIN_KEY_MISSING",
      EXIT.local,
      `there is no domain key at ${visible(path)}`,
      `make one with: keypears domain keygen ${domain}, or say where it is with --key`,
    );
  }
  const file = decode(text);
  if (file === undefined) {
    throw invalid(`${visible(path)} is no file of a domain key, or was damaged`);
  }
  if (file.domain !== domain)
    throw invalid(`${visible(path)} holds the key of ${file.domain}, not of ${domain}`);
  return file;
}

/**
 * The key pair in a file. The caller wipes the secret key.
 *
 * @throws CliError `PASSWORD_WRONG`.
 */
export async function openKeyFile(file: DomainKeyFile, password: string): Promise<CompositeKeyPair> {
  try {
    const secretKey = await openDomainKey(password, file.sealedSecretKey, file);
    return { secretKey, publicKey: file.publicKey };
  } catch (error) {
    if (!(error instanceof CryptoError) || error.reason !== "decryption-failed") throw error;
    throw new CliError(
      "PASSWORD_WRONG",
      EXIT.wrongPassword,
      `the password does not open the domain key of ${file.domain}`,
      "check the password and try again",
    );
  }
}

function encode(file: DomainKeyFile): Uint8Array {
  const { domain, publicKey, publicKeyHash, rotations, salt, cost, sealedSecretKey } = file;
  const content = {
    version: VERSION,
    domain,
    publicKeyHash,
    publicKey: toBase64(publicKey),
    rotations: rotations.map((rotation) => toBase64(toBinary(DomainKeyRotationSchema, rotation))),
    password: { salt: toBase64(salt), ...cost },
    sealedSecretKey: toBase64(sealedSecretKey),
  };
  return Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
}

/** Undefined for whatever is no such file. The hash and the rotations are not believed but computed and verified. */
function decode(text: string): DomainKeyFile | undefined {
  try {
    const content = JSON.parse(text);
    if (content.version !== VERSION) return undefined;
    const { domain, password } = content;
    const publicKey = fromBase64(content.publicKey);
    const publicKeyHash = toHex(domainKeyHash(publicKey));
    const rotations: DomainKeyRotation[] = content.rotations.map((rotation: string) =>
      fromBinary(DomainKeyRotationSchema, fromBase64(rotation)),
    );
    verifyRotations(rotations, domain, publicKey);
    if (content.publicKeyHash !== publicKeyHash) return undefined;
    const cost = { memoryKiB: password.memoryKiB, passes: password.passes, lanes: password.lanes };
    const [salt, sealedSecretKey] = [fromBase64(password.salt), fromBase64(content.sealedSecretKey)];
    return { domain, publicKey, publicKeyHash, rotations, salt, cost, sealedSecretKey };
  } catch {
    return undefined;
  }
}

/** A folder that was there before may be anyone's choice; the one of the tool's own is made, and private. */
function prepareFolder(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder)) makePrivateFolder(folder);
}

function writeFailed(path: string, error: unknown): CliError {
  const message = `cannot write ${visible(path)}: ${codeOf(error) || "unknown error"}`;
  return new CliError("FILE_FAILED", EXIT.local, message, "check that the folder is there and yours");
}

function invalid(message: string): CliError {
  return new CliError(
    "DOMAIN_KEY_INVALID",
    EXIT.local,
    message,
    "name the right one with --key, or restore it",
  );
}
