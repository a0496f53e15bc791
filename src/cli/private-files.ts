/**
 * Files and folders that are this user's alone: folders 0700, files 0600, replaced as a whole or not at all. What others
 * could read or write is refused, because a credential in it may be known, and a file in it may be another's.
 */

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { visible } from "./visible.ts";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;

/** Makes a folder of this user's alone, or checks the one that is there. @throws CliError `NOT_PRIVATE`, `FILE_FAILED`. */
export function makePrivateFolder(path: string): void {
  attempt(path, () => mkdirSync(path, { recursive: true, mode: FOLDER_MODE }));
  requirePrivateFolder(path);
}

/** Whether there is a folder; it has to be this user's alone. @throws CliError `NOT_PRIVATE`. */
export function requirePrivateFolder(path: string): boolean {
  const stats = attempt(path, () => lstatSync(path, { throwIfNoEntry: false }));
  if (stats === undefined) return false;
  if (!stats.isDirectory()) throw notPrivate(path, "is no folder", `remove it: ${visible(path)}`);
  requireOwn(path, stats, "chmod 700");
  return true;
}

/** The text of a file of this user's alone; undefined if there is none. @throws CliError `NOT_PRIVATE`, `FILE_FAILED`. */
export function readPrivateFile(path: string): string | undefined {
  let file: number;
  try {
    // A link could lead to another's file.
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw failed(path, error);
  }
  try {
    requireOwn(path, fstatSync(file), "chmod 600");
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Replaces a file, or makes it, as a whole: a crash leaves the old one or the new one. @throws CliError `FILE_FAILED`. */
export function writePrivateFile(path: string, text: string): void {
  makePrivateFolder(dirname(path));
  attempt(path, () => replaceFile(path, Buffer.from(text)));
}

/**
 * Replaces a file, or makes it, readable by this user alone: as a whole, or not at all and without a trace.
 *
 * @throws the error of the file system.
 */
export function replaceFile(path: string, content: Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  writeNewFile(temporary, content);
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/**
 * Writes a file that must not be there yet, readable by this user alone: as a whole, or not at all.
 *
 * @throws the error of the file system; code EEXIST if there is one.
 */
export function writeNewFile(path: string, content: Uint8Array): void {
  const file = openSync(path, "wx", FILE_MODE);
  try {
    fchmodSync(file, FILE_MODE);
    for (let written = 0; written < content.length; ) written += writeSync(file, content, written);
    fsyncSync(file);
  } catch (error) {
    rmSync(path, { force: true }); // half a secret on a full disk is of use to nobody but a finder
    throw error;
  } finally {
    closeSync(file);
  }
}

/** The code of a file system's error, such as "ENOENT". */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function requireOwn(path: string, { uid, mode }: Stats, remedy: string): void {
  if (process.getuid === undefined) return; // Windows: access is by the profile's folder
  if (uid !== process.getuid()) throw notPrivate(path, "belongs to another user", "move it away");
  if ((mode & OTHERS) !== 0) {
    throw notPrivate(
      path,
      "can be read by other users",
      `if you trust what is in it: ${remedy} ${visible(path)}`,
    );
  }
}

function attempt<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw failed(path, error);
  }
}

function failed(path: string, error: unknown): CliError {
  const message = `cannot use ${visible(path)}: ${codeOf(error) || "unknown error"}`;
  return new CliError("FILE_FAILED", EXIT.local, message, "check that the folder is there and yours");
}

function notPrivate(path: string, what: string, next: string): CliError {
  return new CliError("NOT_PRIVATE", EXIT.local, `${visible(path)} ${what}: refused`, next);
}
