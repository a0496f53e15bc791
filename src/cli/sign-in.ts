/** What making an account and logging in have in common: the folder, the environment, and the profile that comes of it. */

import { hostname } from "node:os";
import type { SignedIn } from "../client/sign-in.ts";
import type { CommandContext } from "./context.ts";
import { environmentOf, type NodeEnvironment } from "./environment.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { findProfile, type Profile, prepareProfiles, saveProfile } from "./profile.ts";
import { visible } from "./visible.ts";

const MAX_DEVICE_NAME_LENGTH = 100;

/** What is known before signing in. */
export interface SignInContext {
  readonly env: NodeEnvironment;
  readonly deviceName: string;
  /** What the profile holds already. */
  readonly profile: Profile | undefined;
}

/**
 * Signs in and keeps the session in the profile.
 *
 * @throws CliError `PROFILE_TAKEN` when the profile is signed in already.
 */
export async function signInTo(
  context: CommandContext,
  device: unknown,
  signIn: (known: SignInContext) => Promise<SignedIn>,
): Promise<SignedIn["credentials"]> {
  const profile = findProfile(context.profile);
  if (profile?.session) {
    throw new CliError(
      "PROFILE_TAKEN",
      EXIT.usage,
      `the profile "${context.profile}" is signed in as ${visible(profile.address)}`,
      "use another one with --profile NAME, or keypears account logout first",
    );
  }
  // Before anything is done that only this file will remember.
  prepareProfiles(context.profile);
  const resolve = context.resolve.length > 0 ? context.resolve : (profile?.resolve ?? []);
  const env = await environmentOf(context, resolve);
  try {
    const deviceName = (typeof device === "string" ? device : hostname()).slice(0, MAX_DEVICE_NAME_LENGTH);
    const { credentials, accountKey } = await signIn({ env, deviceName, profile });
    accountKey.fill(0);
    saveProfile(context.profile, credentials, resolve);
    return credentials;
  } finally {
    env.close();
  }
}
