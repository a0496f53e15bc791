/** `keypears outbox list` */

import { printResult, type Run } from "../../context.ts";
import { describeDelivery, readDelivery } from "../../delivery.ts";
import { showTime } from "../../duration.ts";
import { withOwnNode } from "../../node-call.ts";
import { hexOf, type JsonShare, listUpTo, readLimit, timeOf } from "../../node-shares.ts";
import { SHOWN_DIGITS } from "../../share-id.ts";
import { visibleAddress } from "../../visible.ts";

/** Lists sent shares that are not delivered yet, with what the last attempt met and when the next one is due. */
export const run: Run = async (context, _args, options) => {
  const limit = readLimit(options.limit);
  const { shares, more } = await withOwnNode(context, (node) => listUpTo(node, "UNDELIVERED", limit));
  const waiting = shares.map(toResult);
  const lines = context.json ? [] : await Promise.all(waiting.map(describe));
  if (lines.length === 0) lines.push("nothing waits to be delivered");
  if (more) lines.push(`(there are more: --limit ${limit * 2})`);
  printResult(context, { shares: waiting, more }, lines.join("\n"));
};

type Result = ReturnType<typeof toResult>;

function toResult(share: JsonShare) {
  return {
    id: hexOf(share.shareId),
    recipient: share.recipient,
    createdAt: timeOf(share.createdAt),
    delivery: readDelivery(share.delivery ?? {}),
  };
}

async function describe({ id, recipient, createdAt, delivery }: Result): Promise<string> {
  const { attempts, nextAttemptAt } = delivery;
  const tried = attempts === 0 ? "not tried yet" : `tried ${attempts === 1 ? "once" : `${attempts} times`}`;
  const next = nextAttemptAt === null ? "" : `, next attempt ${showTime(nextAttemptAt)}`;
  const state = describeDelivery(delivery);
  const to = await visibleAddress(recipient);
  return `${id.slice(0, SHOWN_DIGITS)}  ${showTime(createdAt ?? 0)}  to ${to}  ${state}, ${tried}${next}`;
}
