/** `keypears lock` */

import { lockAgent } from "../agent/client.ts";
import { printResult, type Run } from "../context.ts";

/** Ends the profile's agent. Being locked already is no error. */
export const run: Run = async (context) => {
  const wasUnlocked = await lockAgent(context.profile);
  printResult(context, { locked: true, wasUnlocked }, wasUnlocked ? "locked" : "it was locked already");
};
