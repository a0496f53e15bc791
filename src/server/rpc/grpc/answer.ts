/** gRPC: an answer with its message ("Response → Response-Headers *Length-Prefixed-Message Trailers" in PROTOCOL-HTTP2.md). */

import type { Answer } from "../../exchange.ts";
import { GZIP } from "../compression.ts";
import { COMPRESSED_FLAG, envelopes, keptEnvelope } from "../envelope.ts";
import { metadataList } from "../metadata.ts";
import type { AnswerMetadata, PackedMessage } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { okTrailers, toRecord } from "./trailers.ts";

export function answer(
  { contentType }: WireFormat,
  { data, compressed, kept }: PackedMessage,
  { header, trailer }: AnswerMetadata,
): Answer {
  const flags = compressed ? COMPRESSED_FLAG : 0;
  return {
    status: 200,
    headers: [
      "content-type",
      contentType,
      ...(compressed ? ["grpc-encoding", GZIP] : []),
      ...metadataList(header),
    ],
    body: kept === true ? keptEnvelope(flags, data) : envelopes([flags, data]),
    trailers: toRecord(okTrailers(trailer)),
  };
}
