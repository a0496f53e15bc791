/** `keypears account delete` */

import { withAccount } from "../../account.ts";
import { lockAgent } from "../../agent/client.ts";
import { confirmByTyping } from "../../confirm.ts";
import { printResult, type Run } from "../../context.ts";
import { forgetSession, requireProfile } from "../../profile.ts";
import { withProgress } from "../../progress.ts";
import { readPassword } from "../../prompt.ts";

/** Deletes the account. Needs the password even while unlocked. */
export const run: Run = async (context, _args, options) => {
  const { credentials } = requireProfile(context.profile);
  const { address } = credentials;
  await confirmByTyping(
    context,
    options.yes === true,
    address,
    "This deletes the account and all that it stored.",
  );
  const password = await readPassword(context, `Password of ${address}`);
  await withAccount({ ...context, password }, (account) =>
    withProgress(context, "deleting the account", (work) => account.delete(password, work)),
  );
  await lockAgent(context.profile);
  forgetSession(context.profile);
  printResult(context, { address, deleted: true }, `${address} is deleted`);
};
