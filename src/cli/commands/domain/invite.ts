/** `keypears domain invite` */

import { printResult, type Run } from "../../context.ts";
import { parseDuration, showTime } from "../../duration.ts";
import { withOwnNode } from "../../node-call.ts";
import { timeOf } from "../../node-shares.ts";
import { domainArgument } from "./hosted.ts";
import { describeInvitation, type JsonInvitation } from "./invitations.ts";

/** Makes an invitation and prints its code, which nobody can look up again. */
export const run: Run = async (context, [text], options) => {
  const domain = domainArgument(text);
  const name = typeof options.name === "string" ? options.name : "";
  const lifetimeSeconds =
    typeof options.for === "string" ? parseDuration("--for", options.for, "30d") / 1_000 : 0;
  const { invitation, code } = await withOwnNode(context, (node) =>
    node.call<{ invitation: JsonInvitation; code: string }>("DomainService/CreateInvitation", {
      domain,
      name,
      lifetimeSeconds,
    }),
  );
  printResult(
    context,
    { ...describeInvitation(invitation), domain, code },
    [
      `invitation code, shown once: ${code}`,
      `good until ${showTime(timeOf(invitation.expiresAt) ?? 0)}, for one account${name === "" ? "" : ` named ${name}`}:`,
      `  keypears account create ${name === "" ? "NAME" : name}@${domain} --invitation ${code}`,
    ].join("\n"),
  );
};
