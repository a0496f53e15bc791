/** `keypears node peers` */

import type { RememberedDomain } from "../../../storage/stores.ts";
import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { readLimit } from "../../node-shares.ts";
import { withNodeStorage } from "./storage.ts";

/** Lists what other domains have proven to the node, and whose key waits. */
export const run: Run = async (context, _args, options) => {
  const limit = readLimit(options.limit);
  const after = typeof options.after === "string" ? options.after : "";
  const found = await withNodeStorage(options, ({ peerDomains }) =>
    peerDomains.list({ after, limit: limit + 1, waiting: options.waiting === true }),
  );
  const shown = found.slice(0, limit);
  const more = found.length > limit;
  const lines = shown.flatMap(describe);
  if (lines.length === 0) lines.push(options.waiting === true ? "no key waits" : "nothing is remembered");
  if (more) lines.push(`(there are more: --after ${shown.at(-1)?.domain})`);
  const domains = shown.map(({ domain, memory }) => ({ domain, ...memory }));
  printResult(context, { domains, more }, lines.join("\n"));
};

function describe({ domain, memory }: RememberedDomain): string[] {
  const { serial, provenAt, txtSeen, pending } = memory;
  const txt = txtSeen ? "with" : "without";
  const lines = [`${domain}  proven ${showTime(provenAt)}, serial ${serial}, ${txt} a TXT record`];
  if (pending) lines.push(`  another key waits since ${showTime(pending.since)}: ${pending.keyHash}`);
  return lines;
}
