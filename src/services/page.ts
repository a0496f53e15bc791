/**
 * Paging as AIP-158 has it. A token says where the next page begins and of which list it is: a token of another list, or of
 * another account's, is refused. It opens nothing: whose rows are read is decided by the session or the request alone.
 */

import { CryptoError, fromUtf8 } from "../crypto/index.ts";
import { fieldError, serviceError } from "./errors.ts";

const SEPARATOR = "\n";

/**
 * How many rows a page has: `requested`, but at most `max`; `fallback` when 0 leaves it to the node.
 *
 * @throws ConnectError FIELD_INVALID for a negative number.
 */
export function pageSizeOf(requested: number, max: number, fallback: number): number {
  if (requested < 0) throw fieldError("page_size", "must not be negative");
  return requested === 0 ? fallback : Math.min(requested, max);
}

/** A token for the page behind `position`. `list` names the list with everything that chooses its rows. */
export function pageToken(list: string, position: string): string {
  return Buffer.from(`${list}${SEPARATOR}${position}`).toString("base64url");
}

/**
 * The position in a token, or undefined for the first page.
 *
 * @param shape what a position of this list looks like.
 * @throws ConnectError PAGE_TOKEN_INVALID for anything but a token of this list.
 */
export function pagePosition(list: string, token: string, shape: RegExp): RegExpExecArray | undefined {
  if (token === "") return undefined;
  const text = decode(token);
  const at = text?.lastIndexOf(SEPARATOR) ?? -1;
  const position = text?.slice(0, at) === list ? shape.exec(text.slice(at + 1)) : null;
  if (position === null) {
    const message = "page_token: is not the next_page_token of a page of this list";
    throw serviceError("PAGE_TOKEN_INVALID", message, { field: "page_token" });
  }
  return position;
}

/** The number that is the whole position. @throws ConnectError as {@link pagePosition} does. */
export function pageNumber(list: string, token: string): number | undefined {
  const position = pagePosition(list, token, /^[1-9][0-9]{0,14}$/);
  return position && Number(position[0]);
}

/** Cuts a list that was asked for with one row more than a page has; that row shows that there is a next page. */
export function cutPage<Row>(
  rows: readonly Row[],
  size: number,
  nextToken: (last: Row) => string,
): { rows: readonly Row[]; nextPageToken: string } {
  const last = rows[size - 1];
  if (rows.length <= size || last === undefined) return { rows, nextPageToken: "" };
  return { rows: rows.slice(0, size), nextPageToken: nextToken(last) };
}

function decode(token: string): string | undefined {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.toString("base64url") !== token) return undefined;
  try {
    return fromUtf8(bytes);
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}
