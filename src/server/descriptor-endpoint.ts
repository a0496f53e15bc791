/**
 * The contract of everything that this node serves, as protobuf's FileDescriptorSet: what generators of clients, gateways and
 * proxies take where they cannot ask server reflection.
 */

import { primitives, toHex } from "../crypto/index.ts";
import type { Request, Response } from "./exchange.ts";
import type { Route } from "./http.ts";
import { respondBytes, respondMethodNotAllowed } from "./respond.ts";
import { isUnchanged } from "./rpc/caching.ts";

/** Where the descriptors lie below the API's prefix. */
export const DESCRIPTORS_PATH = "/descriptors.binpb";

const MAX_AGE_SECONDS = 300;
const READ_METHODS = ["GET", "HEAD"];

/** Makes the endpoint. It needs no session, and pages of any origin may read it. */
export function createDescriptorEndpoint(descriptors: Uint8Array): Route {
  const etag = `"${toHex(primitives().blake3.hash(descriptors, 16))}"`;
  const headers = {
    "Content-Type": "application/protobuf",
    "Cache-Control": `public, max-age=${MAX_AGE_SECONDS}`,
    ETag: etag,
  };
  return async (request: Request, response: Response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    if (request.method === "OPTIONS") {
      response.setHeader("Access-Control-Allow-Methods", READ_METHODS.join(", "));
      response.statusCode = 204;
      response.end();
    } else if (!READ_METHODS.includes(request.method ?? "")) {
      respondMethodNotAllowed(response, [...READ_METHODS, "OPTIONS"]);
    } else if (isUnchanged(request.headers["if-none-match"], [etag])) {
      respondBytes(response, 304, new Uint8Array(0), headers);
    } else {
      respondBytes(response, 200, descriptors, headers);
    }
  };
}
