/** `keypears domain remove` */

import { parseAddress } from "../../../protocol/address.ts";
import { confirmByTyping } from "../../confirm.ts";
import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { visibleAddress } from "../../visible.ts";

/** Removes an account of a domain with all that it holds. */
export const run: Run = async (context, [text], options) => {
  const address = parseAddress(String(text)).canonical;
  const shown = await visibleAddress(address);
  await confirmByTyping(
    context,
    options.yes === true,
    address,
    `All that ${shown} holds will be gone, and nobody can have the address again.`,
  );
  await withOwnNode(context, (node) => node.call("DomainService/RemoveAccount", { address }));
  printResult(context, { address, removed: true }, `removed ${shown}`);
};
