/**
 * Looks up the TXT records of `_keypears.{domain}` (docs/protocol.md, section 2.1) at the system's DNS servers, or at those
 * that the operator names. NXDOMAIN and NODATA are absence (RFC 2308); all else that goes wrong says nothing and is tried
 * again. Bounded in time; nothing is remembered here.
 */

import { Resolver } from "node:dns/promises";
import type { TxtLookup } from "../protocol/domain-check.ts";
import { domainTxtName } from "../protocol/domain-txt.ts";

/** Looks up the records of a canonical domain. Never rejects; `signal` ends it early, and what comes then is a failure. */
export type LookUpTxt = (domain: string, signal?: AbortSignal) => Promise<TxtLookup>;

/** How records are looked up. */
export interface TxtLookupOptions {
  /** Addresses with ports, as RFC 5952 writes them; the system's servers if there are none. */
  readonly servers?: readonly string[] | undefined;
  /** Time for all attempts together, in milliseconds; 5 s by default. */
  readonly timeoutMs?: number | undefined;
}

const TIMEOUT_MS = 5_000;
/** The first attempt gets this part of the time: packets over UDP get lost, and c-ares doubles the time of each next one. */
const ATTEMPTS = 3;
/** RFC 1035 §3.1, as text without the final dot. */
const MAX_NAME_LENGTH = 253;
const ABSENCE: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/** What is answered where DNS is not asked: under development resolution, whose names are not in DNS. */
export const lookUpNoTxt: LookUpTxt = async () => ({ kind: "absent" });

/** Makes the function that looks records up. */
export function createTxtLookup(options: TxtLookupOptions = {}): LookUpTxt {
  const { servers = [], timeoutMs = TIMEOUT_MS } = options;
  return async (domain, signal) => {
    const name = domainTxtName(domain);
    // No name in DNS is longer, so there is no record.
    if (name.length > MAX_NAME_LENGTH) return { kind: "absent" };
    // One for each look-up, so that it can be ended alone; each asks from a port of its own, too.
    const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / (2 ** ATTEMPTS - 1)), tries: ATTEMPTS });
    if (servers.length > 0) resolver.setServers(servers);
    const end = () => resolver.cancel();
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener("abort", end, { once: true });
    try {
      if (signal?.aborted) return failed(name, "ECANCELLED");
      return { kind: "found", records: await resolver.resolveTxt(name) };
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      if (code === "") throw error;
      return ABSENCE.has(code) ? { kind: "absent" } : failed(name, code);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  };
}

function failed(name: string, code: string): TxtLookup {
  const problem =
    code === "ETIMEOUT" || code === "ECANCELLED" ? "DNS did not answer in time" : "DNS could not answer";
  return { kind: "failed", retry: true, message: `${problem} for the TXT record at ${name}` };
}
