/** Connect: trailers of a unary call, which stand among its headers ("Trailing-Metadata" in Connect's protocol). */

import type { HeaderList } from "../../exchange.ts";
import { metadataList } from "../metadata.ts";

/** Trailers with their prefix. */
export function trailingHeaders(trailer: Headers | undefined): HeaderList {
  return metadataList(trailer, "trailer-");
}
