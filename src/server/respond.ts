/** Plain HTTP answers as JSON, for everything that is no call (docs/protocol.md, section 9). */

import type { Reason } from "../protocol/reasons.ts";
import type { Response } from "./exchange.ts";

/** Reasons of plain HTTP answers: those of calls, and what only HTTP can say. */
export type HttpReason =
  | Reason
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONTENT_TYPE_UNSUPPORTED"
  | "HTTP_VERSION_UNSUPPORTED"
  | "STARTING";

/** Answers with a JSON object. */
export function respondJson(
  response: Response,
  status: number,
  value: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): void {
  respondText(response, status, `${JSON.stringify(value)}\n`, {
    "Content-Type": "application/json",
    ...headers,
  });
}

/**
 * Answers with an error: the reason is for programs, the message for people. Its media type is that of problems (RFC 9457), since
 * every error in plain JSON on the path of a call is Connect's (connectrpc.com/docs/protocol, "Error Codes").
 */
export function respondError(
  response: Response,
  status: number,
  reason: HttpReason,
  message: string,
  headers?: Readonly<Record<string, string>>,
): void {
  const type = { "Content-Type": "application/problem+json" };
  respondJson(response, status, { error: { reason, message } }, { ...type, ...headers });
}

/** Answers with a text and its headers. */
export function respondText(
  response: Response,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  respondBytes(response, status, Buffer.from(text), headers);
}

/** Answers with bytes and their headers. A response to HEAD goes without its body by itself. */
export function respondBytes(
  response: Response,
  status: number,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (status !== 304) response.setHeader("Content-Length", String(body.length));
  response.end(body);
}

/** 405 (RFC 9110 §15.5.6): the path exists, for other methods. */
export function respondMethodNotAllowed(response: Response, methods: readonly string[]): void {
  const allow = methods.join(", ");
  respondError(response, 405, "METHOD_NOT_ALLOWED", `only ${allow} here`, { Allow: allow });
}
