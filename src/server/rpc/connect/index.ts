/** Connect (https://connectrpc.com/docs/protocol) for unary calls. */

import type { UnaryProtocol } from "../unary-protocol.ts";
import { answer } from "./answer.ts";
import { refusal } from "./refusal.ts";
import { openBody } from "./request.ts";

export const connect: UnaryProtocol = { openBody, answer, refusal };
