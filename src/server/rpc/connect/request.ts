/** Connect: the message of a unary request, which is the body itself, or stands in the query of a GET. */

import { base64Decode } from "@bufbuild/protobuf/wire";
import { utf8 } from "../../../crypto/bytes.ts";
import { fieldError } from "../../../services/errors.ts";
import { isCompressed, requireKnownEncoding } from "../compression.ts";
import { tooLarge } from "../errors.ts";
import type { PackedMessage } from "../unary-protocol.ts";

const VERSION = "1";

export function openBody(body: Buffer, encoding: string | undefined): PackedMessage {
  // An empty body is an empty message, whatever the header says of it.
  return { data: body, compressed: isCompressed(encoding) && body.length > 0 };
}

/** The message in a query ("Unary-Get-Request" in Connect's protocol). @throws ConnectError */
export function openQuery(query: URLSearchParams, maxBytes: number): PackedMessage {
  const compression = query.get("compression") ?? undefined;
  requireKnownEncoding(compression, "accept-encoding");
  const text = query.get("message") ?? "";
  const data = query.get("base64") === "1" ? decodeBase64(text) : utf8(text);
  if (data.length > maxBytes) throw tooLarge(maxBytes);
  return { data, compressed: isCompressed(compression) && data.length > 0 };
}

/** Refuses a version of the protocol that this node does not know, as a header or in a query. None is taken as ours. @throws ConnectError */
export function requireVersion(header: string | undefined, query: URLSearchParams | undefined): void {
  if (header !== undefined && header !== VERSION) {
    throw fieldError("connect-protocol-version", `must be ${VERSION}`);
  }
  const inQuery = query?.get("connect") ?? `v${VERSION}`;
  if (inQuery !== `v${VERSION}`) throw fieldError("connect", `must be v${VERSION}`);
}

function decodeBase64(text: string): Uint8Array {
  try {
    return base64Decode(text);
  } catch {
    throw fieldError("message", "not base64");
  }
}
