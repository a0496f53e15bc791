/** A call that is under way, on either road: what the node knows of it, and the line that it leaves in the log. */

import { randomFillSync } from "node:crypto";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Logger } from "../../logger.ts";
import type { Caller } from "../../services/context.ts";
import { reasonOf } from "../../services/errors.ts";
import type { Exchange } from "../exchange.ts";
import type { WireFormat } from "./wire-format.ts";

/** A call that is under way. */
export interface Call {
  /** Under which logs speak of it. */
  readonly requestId: string;
  /** Who calls, once that is known. */
  readonly caller?: Caller | undefined;
  /** Size of the request messages as they came so far. */
  readonly bytesIn: number;
  /** Size of the answer so far. */
  readonly bytesOut: number;
  /** How it failed, if it did. */
  readonly error?: ConnectError | undefined;
}

const REQUEST_ID_BYTES = 8;
const randomness = Buffer.alloc(256 * REQUEST_ID_BYTES);
let used = randomness.length;

/** An id for a call: 16 hex digits. */
export function newRequestId(): string {
  if (used === randomness.length) {
    randomFillSync(randomness);
    used = 0;
  }
  const id = randomness.toString("hex", used, used + REQUEST_ID_BYTES);
  used += REQUEST_ID_BYTES;
  return id;
}

/**
 * Writes a call's line in the log: never its token, nor what is in its messages.
 *
 * @param started when it began, by performance.now().
 */
export function logCall(
  log: Logger,
  call: Call,
  method: string,
  format: WireFormat,
  exchange: Exchange,
  started: number,
): void {
  if (log.isLevelEnabled?.("info") === false) return;
  const fields = {
    requestId: call.requestId,
    method,
    protocol: format.protocol,
    http: exchange.httpVersion,
    ...outcomeOf(call),
    ms: Math.round(performance.now() - started),
    bytesIn: call.bytesIn,
    bytesOut: call.bytesOut,
    prefix: call.caller?.sourcePrefix,
    connection: call.caller?.connectionId,
  };
  log.info(fields, "call");
}

/** The code and reason of a call's end, as logs write them. */
function outcomeOf(call: Call): { readonly code: string; readonly reason?: string | undefined } {
  if (call.error === undefined) return { code: "OK" };
  const code = (Code[call.error.code] ?? "Unknown").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return { code, reason: reasonOf(call.error) };
}
