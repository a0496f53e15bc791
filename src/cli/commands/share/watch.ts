/** `keypears share watch` */

import type { AccountNotice } from "../../../client/account.ts";
import type { ShareSummary } from "../../../client/shares.ts";
import { withAccount } from "../../account.ts";
import { note, printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { describeNotice } from "../../notices.ts";
import { SHOWN_DIGITS } from "../../share-id.ts";
import { visibleAddress } from "../../visible.ts";

/** Prints shares and notices as they come. Reconnects by itself; ends on Ctrl-C. */
export const run: Run = async (context, _args, options) => {
  await withAccount(context, async (account) => {
    const newest =
      options.all === true ? undefined : (await account.shares.list("received", { pageSize: 1 })).shares[0];
    note(context, `watching for ${account.address}; Ctrl-C ends it`);
    for await (const event of account.shares.watch({
      after: newest?.sequence ?? 0n,
      signal: context.signal,
    })) {
      if (event.kind === "share")
        printResult(context, shareResult(event.share), await describeShare(event.share));
      else printResult(context, noticeResult(event.notice), describeNotice(event.notice));
    }
  });
};

function shareResult(share: ShareSummary): Record<string, unknown> {
  return {
    event: "share",
    id: Buffer.from(share.shareId).toString("hex"),
    sender: share.sender,
    createdAt: Number(share.createdAt),
    expiresAt: Number(share.expiresAt) || null,
    receivedAt: Number(share.receivedAt),
    openedAt: Number(share.openedAt) || null,
    bytes: share.ciphertextBytes,
    sequence: Number(share.sequence),
  };
}

async function describeShare(share: ShareSummary): Promise<string> {
  const id = Buffer.from(share.shareId).toString("hex").slice(0, SHOWN_DIGITS);
  return `${id}  ${showTime(Number(share.createdAt))}  from ${await visibleAddress(share.sender)}`;
}

function noticeResult(notice: AccountNotice): Record<string, unknown> {
  return { event: "notice", createdAt: Number(notice.createdAt), message: describeNotice(notice) };
}
