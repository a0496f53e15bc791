/** Standard input, read once: the password's lines first where `--password-stdin` says so, the rest for what is sent. */

import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";

let remaining: Promise<Buffer> | undefined;

/** All of standard input that was not taken before. */
export async function readRest(): Promise<Buffer> {
  const rest = await load();
  remaining = Promise.resolve(Buffer.alloc(0));
  return rest;
}

/** The next line, without its end. @throws CliError `INPUT_ENDED`. */
export async function readNextLine(what: string): Promise<string> {
  const rest = await load();
  if (rest.length === 0) {
    throw new CliError("INPUT_ENDED", EXIT.usage, `standard input has no line with ${what}`, "pipe it in");
  }
  const newline = rest.indexOf("\n");
  const end = newline < 0 ? rest.length : newline;
  remaining = Promise.resolve(rest.subarray(end + 1));
  return rest.subarray(0, end).toString("utf8").replace(/\r$/, "");
}

function load(): Promise<Buffer> {
  remaining ??= (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  })();
  return remaining;
}
