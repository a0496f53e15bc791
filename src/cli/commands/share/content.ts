/** What is sent: from a command line's arguments, standard input and files to the content of a share. */

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseEnv } from "node:util";
import type { ShareContent } from "../../../client/shares.ts";
import type { CommandContext } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { codeOf } from "../../private-files.ts";
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
  const fields: { name: string; value: string }[] = [];
  let tookInput = false;
  for (const text of texts) {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name === "" || name === "-")
      throw usageError(`a field needs a name, such as API_KEY=-: ${visible(text)}`);
    if (fields.some((field) => field.name === name))
      throw usageError(`there are two fields ${visible(name)}`);
    if (equals >= 0 && text.slice(equals + 1) !== "-") {
      fields.push({ name, value: text.slice(equals + 1) });
      continue;
    }
    if (tookInput && !canAsk(context)) {
      throw usageError("standard input has one value: write the other fields as KEY=VALUE, or use --env");
    }
    tookInput = true;
    // A value of one line comes with its end, which is not meant.
    fields.push({ name, value: (await readValue(context, name, askSecret)).replace(/\r?\n$/, "") });
  }
  return fields;
}

/** What a person answers, or else all of standard input. */
async function readValue(
  context: CommandContext,
  question: string,
  ask: (question: string) => Promise<string>,
): Promise<string> {
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
