/** `keypears contact confirm` */

import { parseFingerprint } from "../../../protocol/fingerprint.ts";
import { withAccount } from "../../account.ts";
import { contactLine, describeContact } from "../../contacts.ts";
import { printResult, type Run } from "../../context.ts";

/** Accepts a contact's present keys. */
export const run: Run = async (context, [address], options) => {
  const compared =
    typeof options.fingerprint === "string" ? parseFingerprint(options.fingerprint) : undefined;
  const contact = await withAccount(context, (account) =>
    account.contacts.confirm(String(address), compared),
  );
  printResult(context, describeContact(contact), `confirmed ${await contactLine(contact)}`);
};
