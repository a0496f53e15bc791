/**
 * What an owner's tool has to know beside the domain key: which serials were given out, so that none has two bodies, and what
 * the newest authorization says. Kept beside the key file. Holds no secret.
 */

import { rmSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type DomainAuthorization,
  DomainAuthorizationSchema,
} from "../../../../gen/keypears/v1/domain_pb.ts";
import { fromBase64, toBase64 } from "../../../crypto/index.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { codeOf, readPrivateFile, replaceFile, writeNewFile } from "../../private-files.ts";
import { visible } from "../../visible.ts";

/** What is kept of a domain. */
export interface DomainState {
  /** Canonical. */
  readonly domain: string;
  /** Highest serial that was given out; 0 if none was. */
  readonly serial: number;
  /** Authorizations below this one are revoked; 0 if none is. */
  readonly minSerial: number;
  /** The newest authorization. */
  readonly authorization?: DomainAuthorization;
}

const VERSION = 1;

/** Where the state of a key file is. */
export function statePathOf(keyPath: string): string {
  return `${keyPath}.state`;
}

/**
 * Reads the state of a domain; undefined if it is gone.
 *
 * @throws CliError `DOMAIN_STATE_INVALID`, `NOT_PRIVATE`.
 */
export function readState(keyPath: string, domain: string): DomainState | undefined {
  const path = statePathOf(keyPath);
  const text = readPrivateFile(path);
  if (text === undefined) return undefined;
  const state = decode(text);
  if (state?.domain === domain) return state;
  throw new CliError(
    "DOMAIN_STATE_INVALID",
    EXIT.local,
    `${visible(path)} is not the state of ${domain}, or was damaged`,
    "restore it; or move it away, and say the next serial with --serial",
  );
}

/** Writes the state, as a whole or not at all. */
export function writeState(keyPath: string, state: DomainState): void {
  const { domain, serial, minSerial, authorization } = state;
  const content = {
    version: VERSION,
    domain,
    serial,
    minSerial,
    ...(authorization && { authorization: toBase64(toBinary(DomainAuthorizationSchema, authorization)) }),
  };
  replaceFile(statePathOf(keyPath), Buffer.from(`${JSON.stringify(content, null, 2)}\n`));
}

/**
 * The serial of the next authorization, and marks it as given out before anything is signed: a crash leaves a gap, never one
 * serial with two bodies.
 *
 * @param option `--serial`.
 * @throws CliError `USAGE` for a serial that is none, or not above all that were given out; or if nobody knows which those are.
 */
export function takeSerial(keyPath: string, domain: string, option: unknown): DomainState {
  const wanted = option === undefined ? undefined : serialOption("--serial", option);
  return locked(keyPath, () => {
    const state = readState(keyPath, domain);
    if (state === undefined && wanted === undefined) {
      throw usageError(
        `${visible(statePathOf(keyPath))} is gone, so the serials that were given out are not known`,
        "say the next one with --serial, higher than any before (keypears discover DOMAIN shows the present one)",
      );
    }
    const lowest = Math.max((state?.serial ?? 0) + 1, state?.minSerial ?? 0);
    const serial = wanted ?? lowest;
    if (serial < lowest)
      throw usageError(`--serial has to be ${lowest} or more: lower ones were given out or revoked`);
    const next = { domain, minSerial: 0, ...state, serial };
    writeState(keyPath, next);
    return next;
  });
}

/** A serial from the command line. @throws CliError `USAGE`. */
export function serialOption(name: string, option: unknown): number {
  const serial = /^[1-9][0-9]{0,15}$/.test(String(option)) ? Number(option) : Number.NaN;
  if (!Number.isSafeInteger(serial)) throw usageError(`${name} must be a whole number from 1`);
  return serial;
}

/** Keeps two runs at the same time from giving out one serial. */
function locked<T>(keyPath: string, use: () => T): T {
  const path = `${statePathOf(keyPath)}.lock`;
  try {
    writeNewFile(path, new Uint8Array());
  } catch (error) {
    throw new CliError(
      "FILE_FAILED",
      EXIT.local,
      `cannot make ${visible(path)}: ${codeOf(error)}`,
      "if no other command is at work on this domain, remove it and try again",
    );
  }
  try {
    return use();
  } finally {
    rmSync(path);
  }
}

function decode(text: string): DomainState | undefined {
  try {
    const { version, domain, serial, minSerial, authorization } = JSON.parse(text);
    if (version !== VERSION || typeof domain !== "string") return undefined;
    if (![serial, minSerial].every((value) => Number.isSafeInteger(value) && value >= 0)) return undefined;
    return {
      domain,
      serial,
      minSerial,
      ...(authorization !== undefined && {
        authorization: fromBinary(DomainAuthorizationSchema, fromBase64(authorization)),
      }),
    };
  } catch {
    return undefined;
  }
}
