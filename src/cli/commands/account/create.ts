/** `keypears account create` */

import { createAccount } from "../../../client/sign-in.ts";
import { parseAddress } from "../../../protocol/address.ts";
import { printResult, type Run } from "../../context.ts";
import { withProgress } from "../../progress.ts";
import { readNewPassword } from "../../prompt.ts";
import { signInTo } from "../../sign-in.ts";

/** Makes an account, and signs the profile in. */
export const run: Run = async (context, [text], options) => {
  const address = parseAddress(String(text)).canonical;
  const invitationCode = typeof options.invitation === "string" ? options.invitation.trim() : "";
  const credentials = await signInTo(context, options.device, async ({ env, deviceName }) => {
    const password = await readNewPassword(context, "KEYPEARS_PASSWORD");
    return withProgress(context, "making the account", (work) =>
      createAccount(env, { address, password, deviceName, invitationCode }, work),
    );
  });
  printResult(
    context,
    { address, apiUrl: credentials.apiUrl, profile: context.profile, sessionId: credentials.sessionId },
    [
      `${address} is yours, at ${credentials.apiUrl}.`,
      "Nobody can restore a forgotten password: what was sent to you would be lost with it.",
      "",
      "Next:",
      "  keypears unlock                            so that the password is asked for once",
      "  keypears share send bob@partner.example API_KEY",
    ].join("\n"),
  );
};
