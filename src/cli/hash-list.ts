/**
 * Lists of hashes as `b3sum` writes and reads them (its document "How does `b3sum --check` behave exactly?", "Formal Rules"):
 * a line for each file, with the hash, two spaces and the name. A name with a backslash or a line feed has them spelled
 * `\\` and `\n`, and its line begins with a backslash.
 */

/** What a line says. */
export interface HashLine {
  readonly file: string;
  /** 64 lower-case hex digits. */
  readonly hash: string;
}

const LINE = /^(\\?)([0-9a-f]{64}) {2}(.+)$/s;
const ESCAPES: Readonly<Record<string, string>> = { "\\\\": "\\", "\\n": "\n" };

/** The line of a file, without its end. */
export function hashLine(file: string, hash: string): string {
  const escaped = escapeName(file);
  return `${escaped === file ? "" : "\\"}${hash}  ${escaped}`;
}

/** A name as it stands in lines. */
export function escapeName(file: string): string {
  return file.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/**
 * Reads a line, without its end; undefined if it is none. A name that no file can have, or that stands for one which could
 * not be written down (U+FFFD), makes none.
 */
export function parseHashLine(line: string): HashLine | undefined {
  const [, escaped, hash, name] = LINE.exec(line) ?? [];
  if (hash === undefined || name === undefined) return undefined;
  const file = escaped === "" ? name : unescapeName(name);
  return file === undefined || /[\0\ufffd]/.test(file) ? undefined : { file, hash };
}

function unescapeName(name: string): string | undefined {
  if (/\\/.test(name.replace(/\\[\\n]/g, ""))) return undefined;
  return name.replace(/\\[\\n]/g, (sequence) => ESCAPES[sequence] ?? "");
}
