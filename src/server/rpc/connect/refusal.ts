/** Connect: the end of a call that failed, as JSON with a status of HTTP ("Error" and "Error codes" in Connect's protocol). */

import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import type { Answer } from "../../exchange.ts";
import { metadataList } from "../metadata.ts";
import type { AnswerMetadata } from "../unary-protocol.ts";
import type { WireFormat } from "../wire-format.ts";
import { trailingHeaders } from "./trailers.ts";

export function refusal(
  { acceptEncodingHeader }: WireFormat,
  error: ConnectError,
  { header, trailer }: AnswerMetadata,
): Answer {
  return {
    status: codeToHttpStatus(error.code),
    headers: [
      "content-type",
      "application/json",
      ...metadataList(header),
      ...metadataList(error.metadata, "", acceptEncodingHeader),
      ...trailingHeaders(trailer),
    ],
    body: JSON.stringify(errorToJson(error, undefined)),
  };
}
