/**
 * How long a call may take: what its caller asks for, within what this node gives (docs/protocol.md, section 10). Headers as
 * in gRPC ("Timeout" in PROTOCOL-HTTP2.md) and Connect ("Timeout-Milliseconds").
 */

import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { MethodKind, WireFormat } from "./wire-format.ts";

/** The longest that a unary call may take, whatever its caller asks for, in milliseconds. */
export const MAX_UNARY_DEADLINE_MS = 60_000;

// The longest that a timer of the platform runs; a stream that asks for more has no deadline.
const MAX_TIMER_MS = 2 ** 31 - 1;
const NONE: ReturnType<typeof parseGrpcTimeout> = {};

/**
 * The deadline of a call in milliseconds, undefined for a stream without one, or "malformed".
 *
 * @param header what the caller asks for, in the spelling of its protocol.
 */
export function deadlineOf(
  format: WireFormat,
  header: string | undefined,
  kind: MethodKind,
  defaultMs: number,
): number | undefined | "malformed" {
  const parse = isGrpc(format) ? parseGrpcTimeout : parseConnectTimeout;
  const { timeoutMs: asked, error } = header === undefined ? NONE : parse(header, Number.MAX_SAFE_INTEGER);
  if (error !== undefined) return "malformed";
  if (kind === "unary") return Math.min(asked ?? defaultMs, MAX_UNARY_DEADLINE_MS);
  return asked !== undefined && asked <= MAX_TIMER_MS ? asked : undefined;
}

/** A deadline in the spelling of the call's protocol. */
export function timeoutHeaderValue(format: WireFormat, deadlineMs: number): string {
  const milliseconds = Math.floor(deadlineMs);
  if (!isGrpc(format)) return String(milliseconds);
  // At most eight digits.
  return milliseconds < 1e8 ? `${milliseconds}m` : `${Math.floor(milliseconds / 1_000)}S`;
}

function isGrpc(format: WireFormat): boolean {
  return format.timeoutHeader === "grpc-timeout";
}
