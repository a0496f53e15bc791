/**
 * Looks up addresses at DNS servers that the operator names, in place of the system's resolver. What it finds is judged by the
 * connection policy like any other answer. The hosts file is not read: the servers are the operator's word.
 */

import dns, { Resolver } from "node:dns";
import type { AddressLookup } from "./connection-policy.ts";

type Family = 4 | 6;
type Found =
  | { readonly addresses: dns.LookupAddress[] }
  | { readonly error: NodeJS.ErrnoException & { readonly code: string } };

/** Time of the first of two attempts at a server, in milliseconds. What uses the look-up has a limit of its own. */
const TIMEOUT_MS = 1_500;
const ATTEMPTS = 2;

/**
 * Makes a look-up over `servers`: addresses with ports, as RFC 5952 writes them, asked in their order. It has an error's code
 * ENOTFOUND where a name has no address, another where nobody could be asked.
 */
export function createAddressLookup(servers: readonly string[]): AddressLookup {
  return (host, options, callback) => {
    // RFC 6761 §6.3: never a question for DNS.
    if (host === "localhost" || host.endsWith(".localhost")) return dns.lookup(host, options, callback);
    const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: ATTEMPTS });
    resolver.setServers(servers);
    Promise.all(familiesOf(options).map((family) => ask(resolver, host, family))).then((answers) => {
      const addresses = answers.flatMap((answer) => ("addresses" in answer ? answer.addresses : []));
      if (addresses.length > 0) return callback(null, addresses);
      const errors = answers.flatMap((answer) => ("error" in answer ? [answer.error] : []));
      // "There is none" of one family is no answer for the other one, which could not be asked.
      callback(errors.find((error) => !isAbsence(error)) ?? errors[0] ?? null, []);
    });
  };
}

function familiesOf({ family }: dns.LookupAllOptions): readonly Family[] {
  if (family === 4 || family === "IPv4") return [4];
  if (family === 6 || family === "IPv6") return [6];
  return [4, 6];
}

function ask(resolver: Resolver, host: string, family: Family): Promise<Found> {
  return new Promise((resolve) => {
    const answered = (error: NodeJS.ErrnoException | null, addresses: string[] = []) => {
      if (error === null) resolve({ addresses: addresses.map((address) => ({ address, family })) });
      else
        resolve({ error: Object.assign(error, { code: isAbsence(error) ? "ENOTFOUND" : `${error.code}` }) });
    };
    if (family === 4) resolver.resolve4(host, answered);
    else resolver.resolve6(host, answered);
  });
}

function isAbsence({ code }: NodeJS.ErrnoException): boolean {
  return code === "ENOTFOUND" || code === "ENODATA";
}
