/** `keypears contact forget` */

import { parseAddress } from "../../../protocol/address.ts";
import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { visibleAddress } from "../../visible.ts";

/** Removes a contact with its pins. The next share from or to it is a first one again. */
export const run: Run = async (context, [text]) => {
  const address = parseAddress(String(text)).canonical;
  await withAccount(context, (account) => account.contacts.forget(address));
  printResult(context, { address, forgotten: true }, `forgot ${await visibleAddress(address)}`);
};
