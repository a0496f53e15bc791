/** Connect: an answer with its message, which is the body itself. */

import type { Answer } from "../../exchange.ts";
import { answerHeaders } from "../metadata.ts";
import type { AnswerMessage, AnswerMetadata } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { trailingHeaders } from "./trailers.ts";

export function answer(
  format: WireFormat,
  { data, compressed }: AnswerMessage,
  { header, trailer }: AnswerMetadata,
): Answer {
  const headers = answerHeaders(format, compressed, header);
  return {
    status: 200,
    headers: trailer === undefined ? headers : [...headers, ...trailingHeaders(trailer)],
    body: data,
  };
}
