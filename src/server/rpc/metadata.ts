/**
 * Headers that methods and their errors add to answers. Names that belong to HTTP or to a protocol are the server's own and
 * are left out, whoever sets them.
 */

import type { HeaderList } from "../exchange.ts";
import { GZIP } from "./compression.ts";
import type { WireFormat } from "./wire-format.ts";

const RESERVED: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-message",
  "grpc-status",
  "grpc-status-details-bin",
  "grpc-timeout",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

const NONE: HeaderList = [];

/** Headers of an answer with a message: its type, how it is compressed, what the method set. */
export function answerHeaders(
  { headers, encodingHeader }: WireFormat,
  compressed: boolean,
  set: Headers | undefined,
): HeaderList {
  if (!compressed && set === undefined) return headers;
  return [...headers, ...(compressed ? [encodingHeader, GZIP] : NONE), ...metadataList(set)];
}

/**
 * Names and values in turn, as they may go out. Repeated headers are one, their values joined with ", ".
 *
 * @param prefix in front of each name.
 * @param allowed a reserved name that may go out all the same.
 */
export function metadataList(headers: Headers | undefined, prefix = "", allowed?: string): HeaderList {
  if (headers === undefined) return NONE;
  const list: string[] = [];
  headers.forEach((value, name) => {
    if (!RESERVED.has(name) || name === allowed) list.push(prefix + name, value);
  });
  return list;
}
