/** gRPC: an answer with its message ("Response → Response-Headers *Length-Prefixed-Message Trailers" in PROTOCOL-HTTP2.md). */

import type { Answer } from "../../exchange.ts";
import { GZIP } from "../compression.ts";
import { COMPRESSED_FLAG, envelopes } from "../envelope.ts";
import { metadataList } from "../metadata.ts";
import type { AnswerMetadata, PackedMessage } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { okTrailers, toRecord } from "./trailers.ts";

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
      ...(compressed ? ["grpc-encoding", GZIP] : []),
      ...metadataList(header),
    ],
    body: envelopes([compressed ? COMPRESSED_FLAG : 0, data]),
    trailers: toRecord(okTrailers(trailer)),
  };
}
