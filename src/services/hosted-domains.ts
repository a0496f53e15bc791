/**
 * The domains of this node as every request asks about them: those of its configuration, and those that it hosts for their
 * owners, of which a little is kept in memory. It is read again whenever a hint says so, and now and then without one.
 */

import { toHex } from "../crypto/index.ts";
import type { DomainService, HostedDomains } from "../federation/hosted-domains.ts";
import type { Hints } from "../hints.ts";
import type { Logger } from "../logger.ts";
import type { DomainKeyMembers } from "../protocol/discovery-document.ts";
import type { DomainStore, HostedDomainSummary, RegistrationModeName } from "../storage/stores.ts";

/** The domains of this node. */
export interface NodeDomains extends HostedDomains {
  /** Whether a domain is one of the configuration. */
  isOwn(domain: string): boolean;
  /** How accounts are made at a domain that is hosted for its owner; undefined for others. */
  registrationMode(domain: string): RegistrationModeName | undefined;
  /** What a discovery document of version 2 says of the domain key; undefined where there is no owner's consent. */
  documentKey(domain: string): DomainKeyMembers | undefined;
  /** Reads what was changed here, and has all others read it. */
  changed(): Promise<void>;
  close(): void;
}

/** What the domains are read with. */
export interface NodeDomainsOptions {
  /** Canonical domains of the configuration. */
  readonly own: Iterable<string>;
  readonly domains: Pick<DomainStore, "summaries" | "usage">;
  readonly hints: Hints;
  readonly log: Logger;
  /** Bytes that the accounts of a hosted domain may store together. */
  readonly maxStoredBytes: number;
}

/** Hints may be lost: a process may die between its transaction and the hint. */
const READ_INTERVAL_MS = 60_000;
/** The same while no hints arrive; also how often it is looked whether they do. */
const READ_UNHEARD_INTERVAL_MS = 1_000;
/** How old what is known of a domain's storage may be. Asking costs as much as the domain has accounts. */
const USAGE_INTERVAL_MS = 10_000;

interface Usage {
  readonly full: boolean;
  readonly since: number;
}

/** Reads the domains. @throws StorageError. */
export async function openNodeDomains(options: NodeDomainsOptions): Promise<NodeDomains> {
  const { domains, hints, log, maxStoredBytes } = options;
  const own = new Set(options.own);
  let hosted: ReadonlyMap<string, HostedDomainSummary> = new Map();
  const usages = new Map<string, Usage>();
  let readAt = 0;
  let reading: Promise<void> | undefined;
  let again: Promise<void> | undefined;

  async function readNow(): Promise<void> {
    readAt = performance.now();
    const summaries = await domains.summaries();
    hosted = new Map(summaries.map((summary) => [summary.domain, summary]));
    for (const domain of usages.keys()) if (!hosted.has(domain)) usages.delete(domain);
  }

  /** Reads what is there from now on: a reading that is under way may have come too early. */
  function read(): Promise<void> {
    if (reading === undefined) {
      reading = readNow().finally(() => {
        reading = undefined;
      });
      return reading;
    }
    again ??= reading
      .catch(() => {})
      .then(() => {
        again = undefined;
        return read();
      });
    return again;
  }

  const readLater = () => {
    read().catch((error: unknown) => log.warn({ err: error }, "the hosted domains could not be read"));
  };
  const stopListening = hints.listen(({ kind }) => {
    if (kind === "domains") readLater();
  });
  const stopWatching = hints.onGap(readLater);
  const timer = setInterval(() => {
    const age = performance.now() - readAt;
    if (!hints.connected || age >= READ_INTERVAL_MS) readLater();
  }, READ_UNHEARD_INTERVAL_MS);
  timer.unref();

  /** What was known last; asks anew if that is some time ago. */
  function isFull(domain: string): boolean {
    const usage = usages.get(domain);
    if (usage === undefined || performance.now() - usage.since >= USAGE_INTERVAL_MS) {
      const since = performance.now();
      usages.set(domain, { full: usage?.full ?? false, since });
      domains
        .usage(domain)
        .then(({ storedBytes }) => usages.set(domain, { full: storedBytes >= maxStoredBytes, since }))
        .catch((error: unknown) => log.warn({ err: error, domain }, "a domain's storage could not be read"));
    }
    return usage?.full ?? false;
  }

  function service(domain: string): DomainService | undefined {
    if (own.has(domain)) return "own";
    const summary = hosted.get(domain);
    if (summary === undefined) return undefined;
    if (summary.state === "SUSPENDED") return "suspended";
    return isFull(domain) ? "full" : "active";
  }

  await read();
  return {
    has: (domain) => own.has(domain) || hosted.has(domain),
    service,
    isOwn: (domain) => own.has(domain),
    registrationMode: (domain) => (own.has(domain) ? undefined : hosted.get(domain)?.registrationMode),
    documentKey(domain) {
      const summary = hosted.get(domain);
      if (summary === undefined) return undefined;
      const { domainKeyHash, minSerial } = summary;
      return { domainPubKeyHash: toHex(domainKeyHash), ...(minSerial > 0 && { minSerial }) };
    },
    async changed() {
      await Promise.all([read(), hints.send({ kind: "domains" })]);
    },
    close() {
      clearInterval(timer);
      stopListening();
      stopWatching();
    },
  };
}
