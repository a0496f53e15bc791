/** Suspending an account, and lifting that: one call with another word. */

import { parseAddress } from "../../../protocol/address.ts";
import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { accountLine, describeAccount, type JsonDomainAccount } from "./accounts.ts";

/** The command that sets it. */
export function setSuspended(suspended: boolean): Run {
  return async (context, [text]) => {
    const address = parseAddress(String(text)).canonical;
    const { account } = await withOwnNode(context, (node) =>
      node.call<{ account: JsonDomainAccount }>("DomainService/SetAccountSuspended", { address, suspended }),
    );
    printResult(context, describeAccount(account), await accountLine(account));
  };
}
