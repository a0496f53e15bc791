/** `keypears contact accept` */

import { parseAddress } from "../../../protocol/address.ts";
import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { visibleAddress } from "../../visible.ts";

/** Takes shares from an address without a stamp. */
export const run: Run = async (context, [text]) => {
  const address = parseAddress(String(text)).canonical;
  await withAccount(context, (account) => account.contacts.accept(address));
  printResult(
    context,
    { address, decision: "accepted" },
    `${await visibleAddress(address)} needs no stamp any more`,
  );
};
