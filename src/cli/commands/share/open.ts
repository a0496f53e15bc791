/** `keypears share open` */

import type { OpenedShare, ShareContent } from "../../../client/shares.ts";
import { parseFingerprint } from "../../../protocol/fingerprint.ts";
import { withAccount } from "../../account.ts";
import { type CommandContext, note, printResult, type Run } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { codeOf, replaceFile, writeNewFile } from "../../private-files.ts";
import { findShareId, ID_PAGE_SIZE } from "../../share-id.ts";
import { visible, visibleAddress, visibleLines } from "../../visible.ts";
import { DOTENV, variableNames } from "./content.ts";

/** Opens a share, and prints or writes what it says. */
export const run: Run = async (context, [idText], options) => {
  const box = options.sent === true ? "sent" : "received";
  const acceptSender =
    typeof options.acceptSender === "string" ? parseFingerprint(options.acceptSender) : undefined;
  const { id, opened } = await withAccount(context, async (account) => {
    const found = await findShareId(String(idText), async (pageToken) => {
      const page = await account.shares.list(box, { pageSize: ID_PAGE_SIZE, pageToken });
      return { ids: page.shares.map((share) => hex(share.shareId)), nextPageToken: page.nextPageToken };
    });
    const shareId = new Uint8Array(Buffer.from(found, "hex"));
    return { id: found, opened: await account.shares.open(shareId, { box, acceptSender }) };
  });

  const bytes =
    typeof options.field === "string" ? fieldBytes(opened.content, options.field) : bytesOf(opened.content);
  const out = typeof options.out === "string" ? options.out : undefined;
  if (out !== undefined) write(out, bytes, options.force === true);

  await tellSender(context, opened, box === "sent");
  if (context.json) {
    printResult(
      context,
      {
        id,
        ...facts(opened),
        ...(out === undefined ? { content: structured(opened.content) } : { out, bytes: bytes.length }),
      },
      "",
    );
  } else if (out !== undefined) {
    printResult(context, {}, `wrote ${bytes.length} bytes to ${visible(out)}`);
  } else if (process.stdout.isTTY === true) {
    printAtTerminal(opened.content, bytes, typeof options.field === "string");
  } else {
    process.stdout.write(bytes);
  }
};

/** The content as bytes: a file's own, a text's, or a secret's `KEY=VALUE` lines. */
function bytesOf(content: ShareContent): Uint8Array {
  switch (content.kind) {
    case "file":
      return content.content;
    case "text":
      return Buffer.from(content.text);
    case "secret":
      return Buffer.from(content.fields.map(({ name, value }) => `${name}=${value}\n`).join(""));
  }
}

function fieldBytes(content: ShareContent, name: string): Uint8Array {
  if (content.kind !== "secret") throw usageError("the share is no secret with fields", "leave out --field");
  const field = content.fields.find((candidate) => candidate.name === name);
  if (!field) {
    const names = content.fields.map((candidate) => visible(candidate.name)).join(", ");
    throw new CliError(
      "FIELD_UNKNOWN",
      EXIT.notFound,
      `the secret has no field ${visible(name)}`,
      `it has: ${names}`,
    );
  }
  return Buffer.from(`${field.value}\n`);
}

/** Writes a file as a whole, and over another one only if that was asked for. */
function write(path: string, bytes: Uint8Array, force: boolean): void {
  try {
    if (force) replaceFile(path, bytes);
    else writeNewFile(path, bytes);
  } catch (error) {
    const exists = codeOf(error) === "EEXIST";
    const message = exists
      ? `${visible(path)} is there already`
      : `cannot write ${visible(path)}: ${codeOf(error)}`;
    const next = exists ? "name another file, or replace it with --force" : "check the path";
    throw new CliError(exists ? "FILE_EXISTS" : "FILE_FAILED", EXIT.local, message, next);
  }
}

/** What a person reads, with nothing in it that a terminal would obey. */
function printAtTerminal(content: ShareContent, bytes: Uint8Array, field: boolean): void {
  if (content.kind === "file") {
    const variables =
      content.mediaType === DOTENV ? `\n  sets ${variableNames(bytes).map(visible).join(", ")}` : "";
    const name = visible(content.name);
    process.stdout.write(`a file ${name}, ${bytes.length} bytes: write it with --out PATH${variables}\n`);
    return;
  }
  if (content.kind === "secret" && content.name !== "" && !field)
    process.stdout.write(`# ${visible(content.name)}\n`);
  const text = visibleLines(Buffer.from(bytes).toString());
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** Says on standard error who sent it. */
async function tellSender(context: CommandContext, opened: OpenedShare, sent: boolean): Promise<void> {
  const { summary, standing, senderFingerprint } = opened;
  if (context.json || sent) return;
  const known = {
    new: `first share from them: compare this fingerprint with theirs\n  ${senderFingerprint}`,
    pinned: "",
    continued: "their keys were rotated, vouched for by the ones you knew",
    changed: `their keys were reset, and nothing vouches for the new ones\n  ${senderFingerprint}`,
    unconfirmed: `their keys could not be confirmed at their domain\n  ${senderFingerprint}`,
  }[standing];
  note(context, `from ${await visibleAddress(summary.sender)}${known === "" ? "" : `; ${known}`}`);
}

function facts({ summary, standing, senderFingerprint }: OpenedShare): Record<string, unknown> {
  return {
    sender: summary.sender,
    recipient: summary.recipient,
    createdAt: Number(summary.createdAt),
    expiresAt: Number(summary.expiresAt) || null,
    standing,
    senderFingerprint,
  };
}

function structured(content: ShareContent): Record<string, unknown> {
  if (content.kind !== "file") return { ...content };
  return { ...content, content: Buffer.from(content.content).toString("base64") };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
