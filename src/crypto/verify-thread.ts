/**
 * What runs in each thread of verify-threads.ts: takes lists of signed items, and answers with a verdict for each.
 */

import { compositeOf, type SignedItem } from "./composite.ts";
import { jsTier } from "./js/index.ts";
import type { ThreadPort } from "./threads.ts";

const { verify } = compositeOf(jsTier);
const port = (globalThis.process?.getBuiltinModule?.("node:worker_threads").parentPort ??
  globalThis) as unknown as ThreadPort;

port.onmessage = ({ data }) => {
  const items = data as readonly SignedItem[];
  port.postMessage(
    items.map(({ publicKey, message, signature, context }) => verify(publicKey, message, signature, context)),
  );
};
