/** Connect: the end of a stream that never began, as its one frame ("Streaming-Response" and "EndStreamResponse"). */

import type { ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import type { Answer } from "../../exchange.ts";
import { envelopes } from "../envelope.ts";
import type { WireFormat } from "../wire-format.ts";

const END_STREAM_FLAG = 2;

export function streamRefusal({ headers }: WireFormat, error: ConnectError): Answer {
  const end = JSON.stringify({ error: errorToJson(error, undefined) });
  return { status: 200, headers, body: envelopes([END_STREAM_FLAG, end]) };
}
