/**
 * Checks hosted domains again on a schedule, and forgets node keys that were followed by others. Any number of processes and
 * nodes may make rounds: each takes what is due by putting its next check off.
 */

import type { HostedDomainRecord } from "../storage/stores.ts";
import type { ServiceContext } from "./context.ts";
import { recheck } from "./domain-checks.ts";
import { forgetRetiredNodeKeys } from "./node-keys.ts";

/** What rounds work with. */
export type DomainRoundContext = Pick<
  ServiceContext,
  | "stores"
  | "clock"
  | "log"
  | "apiUrl"
  | "documentMark"
  | "development"
  | "nodeKeys"
  | "lookUpPublished"
  | "domains"
>;

/** How long a check may take before somebody else may make it again. */
const TAKEN_MS = 5 * 60_000;
const AT_ONCE = 8;

/** Makes a round, which checks what is due. It has to be made every minute or so. */
export function createDomainRound(context: DomainRoundContext): (signal: AbortSignal) => Promise<void> {
  const { stores, clock, log, domains } = context;

  return async (signal) => {
    await forgetRetiredNodeKeys(stores.nodeKeys, clock());
    while (!signal.aborted) {
      const now = clock();
      const due = await stores.domains.takeDue(now, now + TAKEN_MS, AT_ONCE);
      if (due.length === 0) return;
      const changes = await Promise.all(due.map((record) => checkOne(record, signal)));
      if (changes.includes(true)) await domains.changed();
    }
  };

  /** Whether anything that others know of the domain is not as it was. */
  async function checkOne(record: HostedDomainRecord, signal: AbortSignal): Promise<boolean> {
    const { domain } = record;
    try {
      const check = await recheck(context, record, signal);
      if (!(await stores.domains.settleCheck(domain, record, check))) return false;
      if (check.state !== record.state) {
        log.warn({ domain, state: check.state }, "a hosted domain is not in the state that it was in");
      }
      return check.state !== record.state || check.minSerial !== record.minSerial;
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, domain }, "a hosted domain could not be checked");
      return false;
    }
  }
}
