/** `keypears account password` */

import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { changeProfile, requireProfile } from "../../profile.ts";
import { withProgress } from "../../progress.ts";
import { readNewPassword, readPassword } from "../../prompt.ts";

/** Changes the password. The present one is needed even while unlocked. */
export const run: Run = async (context) => {
  const { credentials } = requireProfile(context.profile);
  const current = await readPassword(context, `Present password of ${credentials.address}`);
  const next = await readNewPassword(context, "KEYPEARS_NEW_PASSWORD");
  const revokedSessions = await withAccount({ ...context, password: current }, async (account) => {
    const changed = await withProgress(context, "changing the password", (work) =>
      account.changePassword({ current, next }, work),
    );
    const { stretching } = account.credentials;
    changeProfile(context.profile, (profile) => ({ ...profile, stretching }));
    return changed.revokedSessions;
  });
  const others = revokedSessions === 0 ? "" : `; ${revokedSessions} other sessions ended`;
  printResult(context, { address: credentials.address, revokedSessions }, `the password is changed${others}`);
};
