/** gRPC: an answer with its message ("Response → Response-Headers *Length-Prefixed-Message Trailers" in PROTOCOL-HTTP2.md). */

import type { Answer } from "../../exchange.ts";
import { COMPRESSED_FLAG, envelopes, keptEnvelope } from "../envelope.ts";
import { answerHeaders } from "../metadata.ts";
import type { AnswerMessage, AnswerMetadata } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { okTrailers, toRecord } from "./trailers.ts";

export function answer(
  format: WireFormat,
  { data, compressed, kept }: AnswerMessage,
  { header, trailer }: AnswerMetadata,
): Answer {
  const flags = compressed ? COMPRESSED_FLAG : 0;
  return {
    status: 200,
    headers: answerHeaders(format, compressed, header),
    body: kept && typeof data !== "string" ? keptEnvelope(flags, data) : envelopes([flags, data]),
    trailers: toRecord(okTrailers(trailer)),
  };
}
