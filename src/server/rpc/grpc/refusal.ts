/** gRPC: the end of a call that failed ("Trailers-Only" and "Trailers" in PROTOCOL-HTTP2.md). */

import type { ConnectError } from "@connectrpc/connect";
import type { Answer } from "../../exchange.ts";
import { metadataList } from "../metadata.ts";
import type { AnswerMetadata } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { errorTrailers, toRecord } from "./trailers.ts";

/**
 * The status stands among the headers where there is nothing else to say. Headers that the method set are told from its
 * trailers by standing in front of an empty body.
 */
export function refusal(
  format: WireFormat,
  error: ConnectError,
  { header, trailer }: AnswerMetadata,
): Answer {
  const trailers = errorTrailers(error, trailer, format.acceptEncodingHeader);
  const leading = metadataList(header);
  const headers = [...format.headers, ...leading];
  if (leading.length === 0) return { status: 200, headers: [...headers, ...trailers] };
  return { status: 200, headers, trailers: toRecord(trailers) };
}
