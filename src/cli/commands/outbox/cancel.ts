/** `keypears outbox cancel` */

import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { changeDelivery } from "../../node-shares.ts";

/** Has the node give up the delivery of a share. */
export const run: Run = async (context, [id]) => {
  const { shareId, delivery } = await withOwnNode(context, (node) =>
    changeDelivery(node, "CancelShare", String(id)),
  );
  printResult(context, { id: shareId, delivery }, "cancelled: it will not be delivered, and your copy stays");
};
