/** Hashes a file or standard input for `keypears hash`, with a sign of life for what takes long. */

import { type FileHandle, open } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import type { ByteReader } from "../crypto/byte-source.ts";
import { toHex } from "../crypto/bytes.ts";
import { CryptoError } from "../crypto/errors.ts";
import { hashFile } from "../crypto/hash-file.ts";
import { hashStream } from "../crypto/hash-stream.ts";
import type { CommandContext } from "./context.ts";
import { bar, showStatus } from "./progress.ts";
import { visible } from "./visible.ts";

/** The name that stands for standard input. */
export const STANDARD_INPUT = "-";

/** What was hashed. */
export interface Hashed {
  /** Lower-case hex. */
  readonly hash: string;
  readonly bytes: number;
}

/** A file cannot be read. The message says why, without its name. */
export class InputError extends Error {
  override readonly name = "InputError";
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EISDIR: "is a folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many open files",
};
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

let standardInputUsed = false;

/**
 * Hashes the file of this name, or standard input.
 *
 * @param length of the hash in bytes.
 * @throws InputError; the signal's reason when the person interrupts.
 */
export async function hashInput(context: CommandContext, name: string, length?: number): Promise<Hashed> {
  const asked = length === undefined ? {} : { length };
  if (name === STANDARD_INPUT) {
    const input = claimStandardInput();
    return readable(() =>
      hashWithStatus(context, name, undefined, (signal, onProgress) =>
        hashStream(chunksOf(input, signal), { ...asked, signal, onProgress }),
      ),
    );
  }
  await using file = await readable(() => open(name));
  // Awaited here, where the file is still open.
  return await readable(async () => {
    const stat = await file.stat();
    // What the system makes up, such as a device or what is under /proc, has no size, or not its own.
    const regular = stat.isFile() && stat.size > 0;
    return hashWithStatus(context, name, regular ? stat.size : undefined, (signal, onProgress) => {
      const options = { ...asked, signal, onProgress };
      return regular ? hashFile(file.fd, options) : hashStream(readerOf(file), options);
    });
  });
}

/** Standard input, for whoever comes first. @throws InputError */
export function claimStandardInput(): NodeJS.ReadStream {
  if (standardInputUsed) throw new InputError("standard input was read already");
  standardInputUsed = true;
  return process.stdin;
}

/** Does what reads files, with the system's refusals as InputErrors. @throws InputError */
export async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CryptoError && error.reason === "unavailable") {
      throw new InputError(error.message, { cause: error });
    }
    if (!(error instanceof Error && "syscall" in error && "code" in error)) throw error;
    throw new InputError(PROBLEMS[String(error.code)] ?? `cannot be read (${error.code})`, { cause: error });
  }
}

type Hash = (signal: AbortSignal, onProgress: (bytes: number) => void) => Promise<Uint8Array>;

async function hashWithStatus(
  context: CommandContext,
  name: string,
  size: number | undefined,
  hash: Hash,
): Promise<Hashed> {
  let bytes = 0;
  const started = performance.now();
  const stop = showStatus(context, () => describeHashing(name, bytes, size, performance.now() - started));
  try {
    const hashed = await hash(context.signal, (taken) => {
      bytes = taken;
    });
    return { hash: toHex(hashed), bytes };
  } finally {
    stop();
  }
}

function readerOf(file: FileHandle): ByteReader {
  return {
    readInto: async (buffer) => (await file.read(buffer, 0, buffer.length)).bytesRead,
  };
}

async function* chunksOf(stream: NodeJS.ReadStream, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  // A wait for a person's input ends with it too.
  yield* addAbortSignal(signal, stream);
}

/** What hashing looks like after so many bytes and milliseconds; without a size there is nothing to fill a bar with. */
export function describeHashing(
  name: string,
  bytes: number,
  size: number | undefined,
  elapsedMs: number,
): string {
  const rate = bytes / Math.max(elapsedMs, 1);
  const speed = `${showBytes(bytes)}, ${showBytes(rate * 1_000)}/s`;
  const shown = visible(name === STANDARD_INPUT ? "standard input" : name);
  if (!size || bytes > size) return `${shown}: ${speed}`;
  const seconds = rate === 0 ? undefined : Math.ceil((size - bytes) / rate / 1_000);
  const left = seconds === undefined ? "" : `, about ${seconds} s`;
  return `${shown} ${bar(bytes / size)} ${Math.floor((100 * bytes) / size)} %, ${speed}${left}`;
}

function showBytes(bytes: number): string {
  const exponent = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** exponent;
  return `${value.toFixed(exponent === 0 || value >= 100 ? 0 : 1)} ${UNITS[exponent]}`;
}
