/** `keypears hash`: BLAKE3 of files, written and checked as `b3sum` does. */

import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { fromUtf8 } from "../../crypto/bytes.ts";
import { BLAKE3_MAX_LENGTH } from "../../crypto/primitives.ts";
import { type CommandContext, note, printResult, type Run } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError, usageError } from "../failure.ts";
import { claimStandardInput, hashInput, InputError, readable, STANDARD_INPUT } from "../hash-input.ts";
import { escapeName, hashLine, parseHashLine } from "../hash-list.ts";
import { visible } from "../visible.ts";

/** Hashes the named files, or checks the lists that they are. What fails keeps nothing else from being done. */
export const run: Run = async (context, [names], options) => {
  const files = Array.isArray(names) && names.length > 0 ? (names as string[]) : [STANDARD_INPUT];
  const length = readLength(options.length);
  if (options.check === true) {
    if (length !== undefined || options.names === false) {
      throw usageError("--check reads lines of 32-byte hashes and names: leave out --length and --no-names");
    }
    await checkLists(context, files, options.quiet === true);
  } else {
    if (options.quiet === true) throw usageError("--quiet is for --check");
    await hashFiles(context, files, length, options.names !== false);
  }
};

async function hashFiles(
  context: CommandContext,
  files: readonly string[],
  length: number | undefined,
  withNames: boolean,
): Promise<void> {
  const results: object[] = [];
  let unreadable = 0;
  for (const file of files) {
    const hashed = await attempt(() => hashInput(context, file, length));
    if (hashed instanceof InputError) {
      unreadable += 1;
      results.push({ file, error: hashed.message });
      note(context, `keypears: ${visible(file)}: ${hashed.message}`);
    } else {
      results.push({ file, ...hashed });
      printLine(context, withNames ? hashLine(file, hashed.hash) : hashed.hash);
    }
  }
  printResult(context, { files: results, ok: unreadable === 0 }, "");
  if (unreadable > 0) throw unreadableFiles(unreadable);
}

async function checkLists(context: CommandContext, lists: readonly string[], quiet: boolean): Promise<void> {
  const results: { readonly file: string; readonly ok: boolean; readonly error?: string }[] = [];
  let malformed = 0;
  for (const list of lists) {
    for (const [index, line] of (await readLines(list)).entries()) {
      const entry = parseHashLine(line);
      if (entry === undefined) {
        malformed += 1;
        note(context, `keypears: ${visible(list)}: line ${index + 1} is not a hash, two spaces and a name`);
        continue;
      }
      const { file, hash } = entry;
      const hashed = await attempt(() => hashInput(context, file));
      const error = hashed instanceof InputError ? hashed.message : undefined;
      const ok = !(hashed instanceof InputError) && hashed.hash === hash;
      results.push({ file, ok, ...(error !== undefined && { error }) });
      const verdict = ok ? "OK" : error === undefined ? "FAILED" : `FAILED (${error})`;
      if (!(ok && quiet)) printLine(context, `${escapeName(file)}: ${verdict}`);
    }
  }
  const unreadable = results.filter(({ error }) => error !== undefined).length;
  const different = results.filter(({ ok }) => !ok).length - unreadable;
  const ok = different + unreadable + malformed === 0 && results.length > 0;
  printResult(context, { files: results, malformedLines: malformed, ok }, "");
  if (!ok) throw failedCheck(different, unreadable, malformed);
}

function failedCheck(different: number, unreadable: number, malformed: number): CliError {
  const problems = [
    ...(different > 0 ? [`${count(different, "file")} did not have the hash that the list says`] : []),
    ...(unreadable > 0 ? [`${count(unreadable, "file")} could not be read`] : []),
    ...(malformed > 0 ? [`${count(malformed, "line")} could not be understood`] : []),
  ];
  const message = problems.join("; ");
  if (different > 0) return new CliError("HASH_MISMATCH", EXIT.mismatch, message);
  if (unreadable > 0) return new CliError("FILE_UNREADABLE", EXIT.local, message);
  return new CliError(
    "LIST_INVALID",
    EXIT.usage,
    message || "the list has no hash",
    "make one: keypears hash FILE… > LIST",
  );
}

function unreadableFiles(number: number): CliError {
  return new CliError("FILE_UNREADABLE", EXIT.local, `${count(number, "file")} could not be read`);
}

/** @throws CliError when a list cannot be read: what else it says is not known. */
async function readLines(list: string): Promise<readonly string[]> {
  const bytes = await attempt(async () =>
    list === STANDARD_INPUT ? buffer(claimStandardInput()) : readable(() => readFile(list)),
  );
  if (bytes instanceof InputError) {
    throw new CliError("FILE_UNREADABLE", EXIT.local, `${list}: ${bytes.message}`);
  }
  const lines = textOf(list, bytes).split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function textOf(list: string, bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (error) {
    throw new CliError(
      "LIST_INVALID",
      EXIT.usage,
      `${list}: is not a list of hashes (${(error as Error).message})`,
    );
  }
}

/** What is done, or why it cannot be. */
async function attempt<T>(work: () => Promise<T>): Promise<T | InputError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

function readLength(text: unknown): number | undefined {
  if (text === undefined) return undefined;
  const length = /^[0-9]{1,4}$/.test(String(text)) ? Number(text) : Number.NaN;
  if (length >= 1 && length <= BLAKE3_MAX_LENGTH) return length;
  throw usageError(`--length must be a whole number from 1 to ${BLAKE3_MAX_LENGTH}`);
}

/** Prints a line at once. A terminal gets nothing in it that it could obey; a file gets the name as it is. */
function printLine(context: CommandContext, line: string): void {
  if (!context.json) process.stdout.write(`${process.stdout.isTTY ? visible(line) : line}\n`);
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
