/** `keypears keys reset` */

import { withAccount } from "../../account.ts";
import { confirmByTyping } from "../../confirm.ts";
import { printResult, type Run } from "../../context.ts";
import { describeKeySet } from "../../key-sets.ts";
import { requireProfile } from "../../profile.ts";
import { withProgress } from "../../progress.ts";
import { readPassword } from "../../prompt.ts";

/** Publishes new keys that nothing vouches for. Needs the password even while unlocked. */
export const run: Run = async (context, _args, options) => {
  const { address } = requireProfile(context.profile).credentials;
  const warning = "Every contact will be warned, and has to confirm your new keys.";
  await confirmByTyping(context, options.yes === true, address, warning);
  const password = await readPassword(context, `Password of ${address}`);
  const ring = await withAccount({ ...context, password }, (account) =>
    withProgress(context, "resetting the keys", (work) => account.resetKeys(password, work)),
  );
  const active = describeKeySet(ring.at(-1) ?? ring[0]);
  printResult(
    context,
    { address, ...active },
    `key set ${active.number} is active; tell your contacts its fingerprint\n  ${active.fingerprint}`,
  );
};
