/** DNS servers as a person names them: an address, with a port where it is not 53. */

import { isIP } from "node:net";

const DNS_PORT = 53;
const MAX_PORT = 65_535;

/**
 * The address with its port, as Node's resolver takes it; undefined for anything else.
 *
 *     parseDnsServer("192.0.2.53")       // "192.0.2.53:53"
 *     parseDnsServer("[2001:db8::1]:54") // "[2001:db8::1]:54"
 */
export function parseDnsServer(text: string): string | undefined {
  if (isIP(text) === 6) return `[${text}]:${DNS_PORT}`;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const port = Number(digits ?? DNS_PORT);
  if (port === 0 || port > MAX_PORT) return undefined;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? `[${bracketed}]:${port}` : undefined;
  return plain !== undefined && isIP(plain) === 4 ? `${plain}:${port}` : undefined;
}
