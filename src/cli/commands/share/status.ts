/** `keypears share status` */

import { printResult, type Run } from "../../context.ts";
import { describeDelivery, isFinal, remedyFor } from "../../delivery.ts";
import { withOwnNode } from "../../node-call.ts";
import { changeDelivery } from "../../node-shares.ts";

/** Tells how the delivery of a sent share stands. */
export const run: Run = async (context, [id]) => {
  const { shareId, delivery } = await withOwnNode(context, (node) =>
    changeDelivery(node, "GetShareStatus", String(id)),
  );
  const remedy = isFinal(delivery) && delivery.state !== "delivered" ? `\n  ${remedyFor(delivery)}` : "";
  printResult(context, { id: shareId, delivery }, `${describeDelivery(delivery)}${remedy}`);
};
