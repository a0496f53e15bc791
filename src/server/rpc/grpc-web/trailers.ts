/** gRPC-Web: trailers as a frame of the body ("Message framing" in PROTOCOL-WEB.md). */

import type { HeaderList } from "../../exchange.ts";

/** Flag of the frame that holds trailers. */
export const TRAILERS_FLAG = 0x80;

/** Trailers as lines of an HTTP/1 header, names in lower case. */
export function trailersFrame(trailers: HeaderList): string {
  let lines = "";
  for (let at = 0; at < trailers.length; at += 2) lines += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
  return lines;
}
