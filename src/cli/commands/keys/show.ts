/** `keypears keys show` */

import { withAccount } from "../../account.ts";
import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { describeKeySet } from "../../key-sets.ts";

/** Shows the active key set, after the client library has compared all of them with what the node publishes. */
export const run: Run = async (context) => {
  const { address, ring } = await withAccount(context, async (account) => ({
    address: account.address,
    ring: await account.keyRing(),
  }));
  const active = describeKeySet(ring.at(-1) ?? ring[0]);
  printResult(
    context,
    { address, ...active },
    [
      `${address}  key set ${active.number}, made ${showTime(active.createdAt)}`,
      `  ${active.fingerprint}`,
      "  your node publishes these very keys",
    ].join("\n"),
  );
};
