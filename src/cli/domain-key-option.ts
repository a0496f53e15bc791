/** The hash of a domain's key on the command line, as its owner tells it. */

import { usageError } from "./failure.ts";

/** 64 lower-case hex digits; undefined if the option is not there. @throws CliError `USAGE`. */
export function readKeyHash(name: string, option: unknown): string | undefined {
  if (option === undefined) return undefined;
  const hash = String(option).toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hash)) return hash;
  throw usageError(`${name} must be the hash of the domain's key, 64 hex digits`);
}
