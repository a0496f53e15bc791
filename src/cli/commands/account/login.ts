/** `keypears account login` */

import { logIn } from "../../../client/sign-in.ts";
import { parseAddress } from "../../../protocol/address.ts";
import { printResult, type Run } from "../../context.ts";
import { usageError } from "../../failure.ts";
import { withProgress } from "../../progress.ts";
import { readPassword } from "../../prompt.ts";
import { signInTo } from "../../sign-in.ts";

/** Opens a session for the profile. What the profile knows of the account's password protects it from a lying node. */
export const run: Run = async (context, [text], options) => {
  const credentials = await signInTo(context, options.device, async ({ env, deviceName, profile }) => {
    const wanted = text === undefined ? profile?.address : String(text);
    if (wanted === undefined)
      throw usageError("name the address to log in as", "keypears account login ADDRESS");
    const address = parseAddress(wanted).canonical;
    const before = profile?.address === address ? profile : undefined;
    const known = options.passwordChanged === true ? undefined : before?.stretching;
    const password = await readPassword(context, `Password of ${address}`);
    return withProgress(context, "logging in", (work) =>
      logIn(env, { address, password, deviceName, known, seen: before?.seen }, work),
    );
  });
  const { address, apiUrl, sessionId } = credentials;
  printResult(context, { address, apiUrl, profile: context.profile, sessionId }, `signed in as ${address}`);
};
