/** `keypears domain invitations` */

import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { withOwnNode } from "../../node-call.ts";
import { timeOf } from "../../node-shares.ts";
import { visible } from "../../visible.ts";
import { domainArgument, listAll } from "./hosted.ts";

/** keypears.v1.Invitation in JSON. */
export interface JsonInvitation {
  readonly invitationId: string;
  readonly name?: string;
  readonly createdAt?: string;
  readonly expiresAt?: string;
}

/** Lists the invitations that wait to be used. */
export const run: Run = async (context, [text]) => {
  const domain = domainArgument(text);
  const invitations = await withOwnNode(context, (node) =>
    listAll<JsonInvitation>(node, "ListInvitations", "invitations", { domain }),
  );
  const lines = invitations.map(
    ({ invitationId, name, expiresAt }) =>
      `${invitationId}  until ${showTime(timeOf(expiresAt) ?? 0)}  ${name ? visible(name) : "any name"}`,
  );
  if (lines.length === 0) lines.push("no invitation waits to be used");
  printResult(context, { domain, invitations: invitations.map(describeInvitation) }, lines.join("\n"));
};

/** An invitation for programs. */
export function describeInvitation({ invitationId, name, createdAt, expiresAt }: JsonInvitation) {
  return { id: invitationId, name: name ?? "", createdAt: timeOf(createdAt), expiresAt: timeOf(expiresAt) };
}
