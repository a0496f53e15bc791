/** `keypears share delete` */

import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { base64Of, findNodeShare } from "../../node-shares.ts";

/** Deletes a received share, or the own copy of a sent one. */
export const run: Run = async (context, [id], options) => {
  const box = options.sent === true ? "SENT" : "RECEIVED";
  const { shareId, cancelled } = await withOwnNode(context, async (node) => {
    const found = await findNodeShare(node, String(id), box);
    const answer = await node.call<{ cancelled?: boolean }>("ShareService/DeleteShare", {
      shareId: base64Of(found),
      box: `SHARE_BOX_${box}`,
    });
    return { shareId: found, cancelled: answer.cancelled ?? false };
  });
  const said = cancelled ? "deleted, and taken back before it left" : "deleted";
  printResult(context, { id: shareId, deleted: true, cancelled }, said);
};
