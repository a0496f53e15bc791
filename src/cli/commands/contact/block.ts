/** `keypears contact block` */

import { parseAddress } from "../../../protocol/address.ts";
import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { visibleAddress } from "../../visible.ts";

/** Refuses shares from an address. */
export const run: Run = async (context, [text]) => {
  const address = parseAddress(String(text)).canonical;
  await withAccount(context, (account) => account.contacts.block(address));
  printResult(
    context,
    { address, decision: "blocked" },
    `shares from ${await visibleAddress(address)} are refused now`,
  );
};
