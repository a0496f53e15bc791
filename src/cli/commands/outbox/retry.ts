/** `keypears outbox retry` */

import { printResult, type Run } from "../../context.ts";
import { describeDelivery } from "../../delivery.ts";
import { withOwnNode } from "../../node-call.ts";
import { changeDelivery } from "../../node-shares.ts";

/** Has the node make the next attempt to deliver a share now. */
export const run: Run = async (context, [id]) => {
  const { shareId, delivery } = await withOwnNode(context, (node) =>
    changeDelivery(node, "RetryShare", String(id)),
  );
  printResult(context, { id: shareId, delivery }, `${describeDelivery(delivery)}: it is tried now`);
};
