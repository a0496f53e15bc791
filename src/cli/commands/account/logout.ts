/** `keypears account logout` */

import { lockAgent } from "../../agent/client.ts";
import { note, printResult, type Run } from "../../context.ts";
import { failureOf } from "../../failure.ts";
import { withOwnNode } from "../../node-call.ts";
import { forgetSession, requireProfile } from "../../profile.ts";

/** Ends the session here and at the node, and locks. A node that cannot be reached does not keep this device signed in. */
export const run: Run = async (context) => {
  const { profile } = requireProfile(context.profile);
  await lockAgent(context.profile);
  let ended = true;
  try {
    await withOwnNode(context, (node) => node.call("AccountService/LogOut", {}));
  } catch (error) {
    const { reason, message } = failureOf(error);
    if (reason === "INTERRUPTED") throw error;
    // One that has ended already is what was asked for.
    ended = reason === "SESSION_INVALID";
    if (!ended) note(context, `the node was not told: ${message}; end this session from another device`);
  }
  forgetSession(context.profile);
  printResult(
    context,
    { address: profile.address, loggedOut: true, endedAtNode: ended },
    `signed out ${profile.address}`,
  );
};
