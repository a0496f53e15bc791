/** gRPC (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) for unary calls. */

import type { UnaryProtocol } from "../unary-protocol.ts";
import { answer } from "./answer.ts";
import { refusal } from "./refusal.ts";
import { openBody } from "./request.ts";

export const grpc: UnaryProtocol = { openBody, answer, refusal };
