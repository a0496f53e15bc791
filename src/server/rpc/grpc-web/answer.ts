/** gRPC-Web: an answer with its message, and its trailers as the last frame of the body. */

import type { Answer } from "../../exchange.ts";
import { COMPRESSED_FLAG, envelopes } from "../envelope.ts";
import { okTrailers } from "../grpc/trailers.ts";
import { answerHeaders } from "../metadata.ts";
import type { AnswerMessage, AnswerMetadata } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { TRAILERS_FLAG, trailersFrame } from "./trailers.ts";

export function answer(
  format: WireFormat,
  { data, compressed }: AnswerMessage,
  { header, trailer }: AnswerMetadata,
): Answer {
  return {
    status: 200,
    headers: answerHeaders(format, compressed, header),
    body: envelopes(
      [compressed ? COMPRESSED_FLAG : 0, data],
      [TRAILERS_FLAG, trailersFrame(okTrailers(trailer))],
    ),
  };
}
