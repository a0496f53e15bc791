/** `keypears contact list` */

import { withAccount } from "../../account.ts";
import { contactLine, describeContact } from "../../contacts.ts";
import { printResult, type Run } from "../../context.ts";

/** Lists the contacts. */
export const run: Run = async (context) => {
  const contacts = await withAccount(context, (account) => account.contacts.list());
  const lines = await Promise.all(contacts.map(contactLine));
  if (lines.length === 0) lines.push("no contacts yet: they come with the first share that you send or open");
  printResult(context, { contacts: contacts.map(describeContact) }, lines.join("\n"));
};
