/** `keypears unlock` */

import { unlockWithPassword } from "../account.ts";
import { startAgent } from "../agent/client.ts";
import { printResult, type Run } from "../context.ts";
import { parseDuration, showTime } from "../duration.ts";
import { environmentOf } from "../environment.ts";
import { requireProfile } from "../profile.ts";

const DEFAULT_DURATION = "8h";

/** Opens the account key with the password, and hands it to an agent. */
export const run: Run = async (context, _args, options) => {
  const text = typeof options.for === "string" ? options.for : DEFAULT_DURATION;
  const duration = parseDuration("--for", text, "7d");
  const { profile, credentials } = requireProfile(context.profile);
  const env = await environmentOf(context, [...profile.resolve, ...context.resolve]);
  try {
    const accountKey = await unlockWithPassword(context, env);
    const lockAt = Date.now() + duration;
    try {
      await startAgent(context.profile, credentials, accountKey, lockAt);
    } finally {
      accountKey.fill(0);
    }
    printResult(
      context,
      { address: credentials.address, unlocked: true, lockAt },
      `unlocked ${credentials.address} until ${showTime(lockAt)}; end it with keypears lock`,
    );
  } finally {
    env.close();
  }
};
