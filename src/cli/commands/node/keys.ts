/** `keypears node keys` */

import { systemClock } from "../../../clock.ts";
import { toHex } from "../../../crypto/index.ts";
import { ensureNodeKey, presentOf, toNodeKey } from "../../../services/node-keys.ts";
import { printResult, type Run } from "../../context.ts";
import { withNodeStorage } from "./storage.ts";

/** Prints the node's public keys. */
export const run: Run = async (context, _args, options) => {
  const now = systemClock();
  const records = await withNodeStorage(options, ({ nodeKeys }) => ensureNodeKey(nodeKeys, now));
  const { current, next } = presentOf(records.map(toNodeKey), now);
  const keys = [current, ...(next === undefined ? [] : [next])].map(({ publicKey }) => toHex(publicKey));
  printResult(context, { nodeKeys: keys, nextFrom: next?.activeFrom ?? null }, keys.join("\n"));
};
