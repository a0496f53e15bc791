/** gRPC-Web (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md) for unary calls, without its form in base64. */

import type { UnaryProtocol } from "../unary-protocol.ts";
import { answer } from "./answer.ts";
import { refusal } from "./refusal.ts";
import { openBody } from "./request.ts";

export const grpcWeb: UnaryProtocol = { openBody, answer, refusal };
