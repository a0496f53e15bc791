/** `keypears share status` */

import { printResult, type Run } from "../../context.ts";
import { describeDelivery, isFinal, readDelivery, remedyFor } from "../../delivery.ts";
import { withOwnNode } from "../../node-call.ts";
import { base64Of, findNodeShare, type JsonDelivery } from "../../node-shares.ts";

/** Tells how the delivery of a sent share stands. */
export const run: Run = async (context, [id]) => {
  const { shareId, delivery } = await withOwnNode(context, async (node) => {
    const found = await findNodeShare(node, String(id), "SHARE_BOX_SENT");
    const { delivery: status } = await node.call<{ delivery?: JsonDelivery }>("ShareService/GetShareStatus", {
      shareId: base64Of(found),
    });
    return { shareId: found, delivery: readDelivery(status ?? {}) };
  });
  const remedy = isFinal(delivery) && delivery.state !== "delivered" ? `\n  ${remedyFor(delivery)}` : "";
  printResult(context, { id: shareId, delivery }, `${describeDelivery(delivery)}${remedy}`);
};
