/** `keypears keys verify` */

import { parseFingerprint, sameFingerprint } from "../../../protocol/fingerprint.ts";
import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import { visibleAddress } from "../../visible.ts";

/** Compares a contact's present keys with those that were seen before, and with a fingerprint. Changes nothing. */
export const run: Run = async (context, [text], options) => {
  const compared =
    typeof options.fingerprint === "string" ? parseFingerprint(options.fingerprint) : undefined;
  const { found, verified } = await withAccount(context, async (account) => {
    const lookedUp = await account.contacts.lookUp(String(text), context.signal);
    const contacts = await account.contacts.list();
    const contact = contacts.find(({ address }) => address === lookedUp.keySet.address);
    return { found: lookedUp, verified: contact?.verified === true && lookedUp.standing !== "changed" };
  });
  const { address, number } = found.keySet;
  const shown = await visibleAddress(address);
  if (compared !== undefined && !sameFingerprint(compared, found.fingerprint)) {
    throw new CliError(
      "FINGERPRINT_MISMATCH",
      EXIT.contactChanged,
      `the keys of ${shown} have another fingerprint: ${found.fingerprint}`,
      "make sure that both of you read the same thing; if so, somebody may stand between you",
    );
  }
  if (found.standing === "changed") {
    throw new CliError(
      "CONTACT_CHANGED",
      EXIT.contactChanged,
      `the keys of ${shown} were reset: nothing vouches for the new ones; new fingerprint: ${found.fingerprint}`,
      `compare it with the person, then: keypears contact confirm ${shown} --fingerprint …`,
    );
  }
  const standing = {
    new: "never seen before",
    pinned: "the very keys that you know",
    continued: "rotated, vouched for by the keys that you know",
  }[found.standing];
  printResult(
    context,
    {
      address,
      number,
      fingerprint: found.fingerprint,
      standing: found.standing,
      verified,
      matches: compared !== undefined,
    },
    [
      `${shown}  key set ${number}: ${standing}${verified ? ", verified" : ""}`,
      `  ${found.fingerprint}${compared === undefined ? "" : "  (the same as yours)"}`,
      ...(verified
        ? []
        : [`  to keep that you compared it: keypears contact confirm ${shown} --fingerprint …`]),
    ].join("\n"),
  );
};
