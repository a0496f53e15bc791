/** `keypears share list` */

import { printResult, type Run } from "../../context.ts";
import { describeDelivery, readDelivery } from "../../delivery.ts";
import { showTime } from "../../duration.ts";
import { withOwnNode } from "../../node-call.ts";
import { hexOf, type JsonShare, listUpTo, readLimit, timeOf } from "../../node-shares.ts";
import { SHOWN_DIGITS } from "../../share-id.ts";
import { visibleAddress } from "../../visible.ts";

/** Lists received or sent shares. Needs no key: the node knows who sent what to whom, and not what it says. */
export const run: Run = async (context, _args, options) => {
  const limit = readLimit(options.limit);
  const sent = options.sent === true;
  const found = await withOwnNode(context, (node) => listUpTo(node, sent ? "SENT" : "RECEIVED", limit));
  const [shares, more] = [found.shares.map(toResult), found.more];
  const lines = context.json ? [] : await Promise.all(shares.map((share) => describe(share, sent)));
  if (lines.length === 0) lines.push(sent ? "you have sent nothing" : "nothing has come yet");
  if (more) lines.push(`(there are more: --limit ${limit * 2})`);
  printResult(context, { box: sent ? "sent" : "received", shares, more }, lines.join("\n"));
};

type Result = ReturnType<typeof toResult>;

function toResult(share: JsonShare) {
  return {
    id: hexOf(share.shareId),
    sender: share.sender,
    recipient: share.recipient,
    createdAt: timeOf(share.createdAt),
    expiresAt: timeOf(share.expiresAt),
    receivedAt: timeOf(share.receivedAt),
    openedAt: timeOf(share.openedAt),
    bytes: share.ciphertextBytes ?? 0,
    ...(share.delivery && { delivery: readDelivery(share.delivery) }),
  };
}

async function describe(share: Result, sent: boolean): Promise<string> {
  const other = await visibleAddress(sent ? share.recipient : share.sender);
  const state = share.delivery
    ? describeDelivery(share.delivery)
    : share.openedAt === null
      ? "new"
      : "opened";
  const end = share.expiresAt === null ? "" : `, until ${showTime(share.expiresAt)}`;
  const id = share.id.slice(0, SHOWN_DIGITS);
  return `${id}  ${showTime(share.createdAt ?? 0)}  ${sent ? "to" : "from"} ${other}  ${state}${end}`;
}
