/** Connect: an answer with its message, which is the body itself. */

import type { Answer } from "../../exchange.ts";
import { GZIP } from "../compression.ts";
import { metadataList } from "../metadata.ts";
import type { AnswerMetadata, PackedMessage } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { trailingHeaders } from "./trailers.ts";

export function answer(
  { contentType }: WireFormat,
  { data, compressed }: PackedMessage,
  { header, trailer }: AnswerMetadata,
): Answer {
  return {
    status: 200,
    headers: [
      "content-type",
      contentType,
      ...(compressed ? ["content-encoding", GZIP] : []),
      ...metadataList(header),
      ...trailingHeaders(trailer),
    ],
    body: data,
  };
}
