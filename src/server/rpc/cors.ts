/**
 * Calls from web pages of any origin (the Fetch standard, "CORS protocol"; docs/protocol.md, section 2). No cookie means
 * anything to this node and no credentials mode is allowed: a page that holds no bearer token can do what anyone can.
 */

import { cors } from "@connectrpc/connect";
import type { HeaderList, Response } from "../exchange.ts";

const PREFLIGHT_MAX_AGE_SECONDS = 7_200;
const ALLOWED_HEADERS = [...cors.allowedHeaders, "Authorization"].join(", ");
const EXPOSED_HEADERS = [...cors.exposedHeaders, "Accept-Encoding", "Retry-After"].join(", ");

/** Headers that let pages of any origin read an answer. */
export const ANY_ORIGIN: HeaderList = [
  "access-control-allow-origin",
  "*",
  "access-control-expose-headers",
  EXPOSED_HEADERS,
];

/** Lets pages of any origin read a response. */
export function exposeToAnyOrigin(response: Response): void {
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
}

/** Answers a preflight request: what a page may send with the given methods. */
export function answerPreflight(response: Response, methods: readonly string[]): void {
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Allow-Methods", methods.join(", "));
  response.setHeader("Access-Control-Allow-Headers", ALLOWED_HEADERS);
  response.setHeader("Access-Control-Max-Age", String(PREFLIGHT_MAX_AGE_SECONDS));
  response.statusCode = 204;
  response.end();
}
