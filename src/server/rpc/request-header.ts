/** Headers of requests as HTTP/1.1 and HTTP/2 of Node give them. */

import type { IncomingHttpHeaders } from "node:http";

/** The value of a header; of a repeated one, all its values with commas between. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
