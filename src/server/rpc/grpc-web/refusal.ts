/** gRPC-Web: the end of a call that failed, as the one frame of the body: pages cannot read every header. */

import type { ConnectError } from "@connectrpc/connect";
import type { Answer } from "../../exchange.ts";
import { envelopes } from "../envelope.ts";
import { errorTrailers } from "../grpc/trailers.ts";
import { answerHeaders } from "../metadata.ts";
import type { AnswerMetadata } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { TRAILERS_FLAG, trailersFrame } from "./trailers.ts";

export function refusal(
  format: WireFormat,
  error: ConnectError,
  { header, trailer }: AnswerMetadata,
): Answer {
  const trailers = errorTrailers(error, trailer, format.acceptEncodingHeader);
  return {
    status: 200,
    headers: answerHeaders(format, false, header),
    body: envelopes([TRAILERS_FLAG, trailersFrame(trailers)]),
  };
}
