/** `keypears share list` */

import { printResult, type Run } from "../../context.ts";
import { describeDelivery, readDelivery } from "../../delivery.ts";
import { showTime } from "../../duration.ts";
import { usageError } from "../../failure.ts";
import { withOwnNode } from "../../node-call.ts";
import { hexOf, type JsonShare, listShares, timeOf } from "../../node-shares.ts";
import { SHOWN_DIGITS } from "../../share-id.ts";
import { visibleAddress } from "../../visible.ts";

const DEFAULT_LIMIT = 50;
const MAX_PAGE = 100;

/** Lists received or sent shares. Needs no key: the node knows who sent what to whom, and not what it says. */
export const run: Run = async (context, _args, options) => {
  const limit = options.limit === undefined ? DEFAULT_LIMIT : Number(options.limit);
  if (!Number.isSafeInteger(limit) || limit < 1) throw usageError("--limit must be a number from 1 on");
  const sent = options.sent === true;
  const { shares, more } = await withOwnNode(context, async (node) => {
    const found: JsonShare[] = [];
    let pageToken = "";
    do {
      const size = Math.min(limit - found.length, MAX_PAGE);
      const page = await listShares(node, sent ? "SHARE_BOX_SENT" : "SHARE_BOX_RECEIVED", size, pageToken);
      found.push(...(page.shares ?? []));
      pageToken = page.nextPageToken ?? "";
    } while (pageToken !== "" && found.length < limit);
    return { shares: found.map(toResult), more: pageToken !== "" };
  });
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
