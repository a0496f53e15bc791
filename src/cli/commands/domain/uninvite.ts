/** `keypears domain uninvite` */

import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { domainArgument } from "./hosted.ts";

/** Takes an invitation back. */
export const run: Run = async (context, [text, id]) => {
  const domain = domainArgument(text);
  const invitationId = String(id).toLowerCase();
  await withOwnNode(context, (node) => node.call("DomainService/RevokeInvitation", { domain, invitationId }));
  printResult(context, { domain, id: invitationId, revoked: true }, "it lets nobody in any more");
};
