/** What is sent: from a command line's arguments, standard input and files to the content of a share. */

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseEnv } from "node:util";
import type { ShareContent } from "../../../client/shares.ts";
import type { CommandContext } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { codeOf } from "../../private-files.ts";
import { requireProfile } from "../../profile.ts";
import { askSecret, askText, canAsk } from "../../prompt.ts";
import { readRest } from "../../standard-input.ts";
import { visible } from "../../visible.ts";

/** Media type of a file of environment variables. */
export const DOTENV = "application/x-dotenv";
const ANY_FILE = "application/octet-stream";

/** The content that a command line asks for. @throws CliError `USAGE`, `FILE_FAILED`, `NOT_DOTENV`. */
export async function readContent(
  context: CommandContext,
  fields: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<ShareContent> {
  const { text, file, env, name } = options;
  const sources = [fields.length > 0, text !== undefined, file !== undefined, env !== undefined];
  if (sources.filter(Boolean).length !== 1) {
    throw usageError(
      "say what to send: KEY=VALUE fields, or one of --text, --file, --env",
      "see: keypears help share send",
    );
  }
  const title = typeof name === "string" ? name : undefined;
  if (typeof file === "string") return fileContent(file, title, ANY_FILE);
  if (typeof env === "string") return dotenvContent(env, title);
  if (typeof text === "string") return { kind: "text", text };
  if (text === true || (fields.length === 1 && fields[0] === "-")) {
    return { kind: "text", text: await readValue(context, "Text", askText) };
  }
  return { kind: "secret", name: title ?? "", fields: await readFields(context, fields) };
}

/** Names of the variables in a file of environment variables. */
export function variableNames(content: Uint8Array): string[] {
  return Object.keys(parseEnv(new TextDecoder().decode(content)));
}

async function readFields(context: CommandContext, texts: readonly string[]) {
  const fields = texts.map(splitField);
  const names = fields.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw usageError(`there are two fields ${visible(twice)}`);
  if (fields.filter(({ value }) => value === undefined).length > 1 && !canAsk(context)) {
    throw usageError("standard input has one value: write the other fields as KEY=VALUE, or use --env");
  }
  const complete: { name: string; value: string }[] = [];
  for (const { name, value } of fields) {
    // A value of one line comes with its end, which is not meant.
    complete.push({
      name,
      value: value ?? (await readValue(context, name, askSecret)).replace(/\r?\n$/, ""),
    });
  }
  return complete;
}

/** `KEY=VALUE`; without a value for `KEY` and `KEY=-`. */
function splitField(text: string): { name: string; value: string | undefined } {
  const [name = "", ...rest] = text.split("=");
  if (name === "" || name === "-") {
    throw usageError(`a field needs a name, such as API_KEY=-: ${visible(text)}`);
  }
  const value = rest.join("=");
  return { name, value: rest.length === 0 || value === "-" ? undefined : value };
}

/** What a person answers, or else all of standard input. */
async function readValue(
  context: CommandContext,
  question: string,
  ask: (question: string) => Promise<string>,
): Promise<string> {
  requireProfile(context.profile); // nobody should type a secret for nothing
  const value = canAsk(context) ? await ask(visible(question)) : decode(await readRest());
  if (value === "") throw usageError(`${visible(question)}: there is nothing to send`);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw usageError("standard input is no UTF-8 text", "send it with --file /dev/stdin");
  }
}

function dotenvContent(path: string, title: string | undefined): ShareContent {
  const content = fileContent(path, title, DOTENV);
  if (content.kind !== "file" || variableNames(content.content).length === 0) {
    const message = `${visible(path)} has no KEY=VALUE line`;
    throw new CliError("NOT_DOTENV", EXIT.usage, message, "send it as it is: --file");
  }
  return content;
}

function fileContent(path: string, title: string | undefined, mediaType: string): ShareContent {
  try {
    return {
      kind: "file",
      name: title ?? basename(path),
      mediaType,
      content: new Uint8Array(readFileSync(path)),
    };
  } catch (error) {
    const message = `cannot read ${visible(path)}: ${codeOf(error) || "unknown error"}`;
    throw new CliError("FILE_FAILED", EXIT.local, message, "check the path");
  }
}
