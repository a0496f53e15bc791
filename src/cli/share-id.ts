/** Share ids as people write them: 64 hex digits, or the first few of them. */

import { EXIT } from "./exit-codes.ts";
import { CliError, usageError } from "./failure.ts";

/** Digits of a share id that are shown, and that are enough for most. */
export const SHOWN_DIGITS = 12;
const WHOLE = /^[0-9a-f]{64}$/;
const PREFIX = /^[0-9a-f]{6,64}$/;

/** A page of share ids, in hex. */
export type ListIds = (pageToken: string) => Promise<{ ids: readonly string[]; nextPageToken: string }>;

/** The size of pages to ask for. */
export const ID_PAGE_SIZE = 100;

/**
 * The whole id, 64 hex digits, of which `text` is the start.
 *
 * @param list pages of what there is; asked only if `text` is not a whole id.
 * @throws CliError `SHARE_UNKNOWN`, `SHARE_AMBIGUOUS`, `USAGE`.
 */
export async function findShareId(text: string, list: ListIds): Promise<string> {
  const wanted = text.toLowerCase();
  if (WHOLE.test(wanted)) return wanted;
  if (!PREFIX.test(wanted))
    throw usageError("a share's id has 64 hex digits, of which at least 6 are needed");
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await list(pageToken);
    found.push(...page.ids.filter((id) => id.startsWith(wanted)));
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && found.length < 2);
  if (found.length > 1) {
    throw new CliError(
      "SHARE_AMBIGUOUS",
      EXIT.usage,
      `several shares start with ${wanted}`,
      "write more digits",
    );
  }
  const [id] = found;
  if (id === undefined) {
    const next = "see what there is: keypears share list, or with --sent";
    throw new CliError("SHARE_UNKNOWN", EXIT.notFound, `there is no share that starts with ${wanted}`, next);
  }
  return id;
}
