/** `keypears keys rotate` */

import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { describeKeySet } from "../../key-sets.ts";

/** Publishes new keys that the present ones vouch for. */
export const run: Run = async (context, _args, options) => {
  const { address, ring } = await withAccount(context, async (account) => ({
    address: account.address,
    ring: await account.rotateKeys({ revokePrevious: options.revokePrevious === true }),
  }));
  const active = describeKeySet(ring.at(-1) ?? ring[0]);
  printResult(
    context,
    { address, ...active },
    `key set ${active.number} is active; contacts accept it by itself\n  ${active.fingerprint}`,
  );
};
