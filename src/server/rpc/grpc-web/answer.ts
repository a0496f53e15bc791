/** gRPC-Web: an answer with its message, and its trailers as the last frame of the body. */

import type { Answer } from "../../exchange.ts";
import { GZIP } from "../compression.ts";
import { COMPRESSED_FLAG, envelopes } from "../envelope.ts";
import { okTrailers } from "../grpc/trailers.ts";
import { metadataList } from "../metadata.ts";
import type { AnswerMetadata, PackedMessage } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { TRAILERS_FLAG, trailersFrame } from "./trailers.ts";

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
    body: envelopes(
      [compressed ? COMPRESSED_FLAG : 0, data],
      [TRAILERS_FLAG, trailersFrame(okTrailers(trailer))],
    ),
  };
}
