/** `keypears keys history` */

import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { describeKeySet, keySetLine } from "../../key-sets.ts";

/** Lists all of the account's key sets. */
export const run: Run = async (context) => {
  const { address, ring } = await withAccount(context, async (account) => ({
    address: account.address,
    ring: await account.keyRing(),
  }));
  const lines = ring.map((own, index) => keySetLine(own, index === ring.length - 1));
  printResult(context, { address, keySets: ring.map(describeKeySet) }, lines.join("\n"));
};
