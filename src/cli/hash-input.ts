/** Hashes a file or standard input for `keypears hash`, with a sign of life for what takes long. */

import { type FileHandle, open } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import type { ByteReader } from "../crypto/byte-source.ts";
import { toHex } from "../crypto/bytes.ts";
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
  if (name === STANDARD_INPUT) {
    const input = claimStandardInput();
    return readable(() => hashWithStatus(context, name, input, undefined, length));
  }
  await using file = await readable(() => open(name));
  // Awaited here, where the file is still open.
  return await readable(async () => {
    const { size } = await file.stat();
    return hashWithStatus(context, name, file, size, length);
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
    if (!(error instanceof Error && "syscall" in error && "code" in error)) throw error;
    throw new InputError(PROBLEMS[String(error.code)] ?? `cannot be read (${error.code})`, { cause: error });
  }
}

async function hashWithStatus(
  context: CommandContext,
  name: string,
  input: FileHandle | NodeJS.ReadStream,
  size: number | undefined,
  length: number | undefined,
): Promise<Hashed> {
  const { signal } = context;
  let bytes = 0;
  const count = (read: number) => {
    bytes += read;
    return read;
  };
  const source = "stat" in input ? ofFile(input, count) : ofStream(input, signal, count);
  const started = performance.now();
  const stop = showStatus(context, () => describeHashing(name, bytes, size, performance.now() - started));
  try {
    const hash = await hashStream(source, { ...(length !== undefined && { length }), signal });
    return { hash: toHex(hash), bytes };
  } finally {
    stop();
  }
}

type Count = (read: number) => number;

function ofFile(file: FileHandle, count: Count): ByteReader {
  return {
    readInto: async (buffer) => count((await file.read(buffer, 0, buffer.length)).bytesRead),
  };
}

async function* ofStream(
  stream: NodeJS.ReadStream,
  signal: AbortSignal,
  count: Count,
): AsyncGenerator<Uint8Array> {
  // A wait for a person's input ends with it too.
  for await (const chunk of addAbortSignal(signal, stream)) {
    count(chunk.length);
    yield chunk;
  }
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
  // What the system makes up, such as a device, has no size, and a file can grow meanwhile.
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
