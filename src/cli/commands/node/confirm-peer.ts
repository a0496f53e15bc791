/** `keypears node confirm-peer` */

import { systemClock } from "../../../clock.ts";
import { canonicalDomain } from "../../../protocol/domain.ts";
import { confirmDomainKey } from "../../../protocol/domain-memory.ts";
import type { PeerDomainStore } from "../../../storage/stores.ts";
import { printResult, type Run } from "../../context.ts";
import { readKeyHash } from "../../domain-key-option.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { withNodeStorage } from "./storage.ts";

/** Takes a domain's waiting key for the domain's on the operator's word, who has to give its hash. */
export const run: Run = async (context, [text], options) => {
  const domain = canonicalDomain(String(text));
  const keyHash = readKeyHash("--key", options.key);
  if (keyHash === undefined)
    throw usageError("--key is missing: give the hash that the domain's owner told you");
  await withNodeStorage(options, ({ peerDomains }) => confirm(peerDomains, domain, keyHash));
  printResult(
    context,
    { domain, keyHash, confirmed: true },
    `${domain} counts with this key from the next look at it on; what waits for it is delivered then`,
  );
};

async function confirm(peerDomains: PeerDomainStore, domain: string, keyHash: string): Promise<void> {
  for (;;) {
    const known = await peerDomains.read(domain);
    const memory = known && confirmDomainKey(known.memory, keyHash, systemClock());
    if (known === undefined || memory === undefined) {
      throw new CliError(
        "DOMAIN_KEY_MISMATCH",
        EXIT.contactChanged,
        `${domain} has no such key that waits to be confirmed`,
        "see which keys wait: keypears node peers --waiting",
      );
    }
    // A node that runs may have looked at it in between.
    if (await peerDomains.replace(domain, known.revision, memory)) return;
  }
}
