/** From a profile to an account that can be used: with the key that the unlock agent holds, or with the password. */

import type { Account } from "../client/account.ts";
import type { Seen } from "../client/device-memory.ts";
import type { CommandContext } from "./context.ts";
import type { NodeEnvironment } from "./environment.ts";
import { changeProfile, requireProfile } from "./profile.ts";

/**
 * Opens the profile's account, uses it, and forgets its key.
 *
 * @throws CliError `NOT_SIGNED_IN`, `PASSWORD_NEEDED`; ClientError.
 */
export async function withAccount<T>(
  context: CommandContext,
  use: (account: Account, env: NodeEnvironment) => Promise<T>,
): Promise<T> {
  const { profile, credentials } = requireProfile(context.profile);
  // The modules load while the agent is asked.
  const [unlocked, { openAccount }, { laterSeen }, { environmentOf }] = await Promise.all([
    import("./agent/client.ts").then(({ askAgent }) => askAgent(context.profile, credentials)),
    import("../client/account.ts"),
    import("../client/device-memory.ts"),
    import("./environment.ts"),
  ]);
  const env = await environmentOf(context, [...profile.resolve, ...context.resolve]);
  try {
    const accountKey = unlocked?.accountKey ?? (await unlockWithPassword(context, env));
    const onSeen = (news: Seen) =>
      changeProfile(context.profile, (stored) => {
        if (stored.address !== credentials.address) return stored;
        const seen = laterSeen(stored.seen, news);
        return seen === stored.seen ? stored : { ...stored, seen };
      });
    const account = openAccount(env, { credentials, accountKey }, { onSeen });
    try {
      return await use(account, env);
    } finally {
      account.close();
    }
  } finally {
    env.close();
  }
}

/** Opens the profile's account key with the password, 32 bytes. */
export async function unlockWithPassword(context: CommandContext, env: NodeEnvironment): Promise<Uint8Array> {
  const { credentials } = requireProfile(context.profile);
  const [{ unlock }, { readPassword }, { withProgress }] = await Promise.all([
    import("../client/sign-in.ts"),
    import("./prompt.ts"),
    import("./progress.ts"),
  ]);
  const password = await readPassword(context, `Password of ${credentials.address}`);
  return withProgress(context, "unlocking", (options) => unlock(env, credentials, password, options));
}
