/** DNS servers on the command line, in place of the system's: `--dns-server ADDRESS[:PORT]`, or KEYPEARS_DNS_SERVER. */

import { usageError } from "./failure.ts";

/** The texts of the options, or, if there are none, of the environment (separated by spaces or commas). */
export function dnsServerTexts(option: unknown): readonly string[] {
  if (Array.isArray(option) && option.length > 0) return option.map(String);
  return (process.env.KEYPEARS_DNS_SERVER ?? "").split(/[\s,]+/).filter((text) => text !== "");
}

/** The servers, with ports. @throws CliError `USAGE`. */
export async function readDnsServers(texts: readonly string[]): Promise<readonly string[]> {
  if (texts.length === 0) return [];
  const { parseDnsServer } = await import("../federation/dns-servers.ts");
  return texts.map((text) => {
    const server = parseDnsServer(text);
    if (server === undefined)
      throw usageError("--dns-server must be an IP address, such as 192.0.2.53 or 192.0.2.53:5353");
    return server;
  });
}
