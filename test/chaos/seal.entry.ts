// A thread that seals shares, and posts them a page at a time.

import { parentPort, workerData } from "node:worker_threads";
import type { ParsedKeySet, PrivateSeeds } from "../../src/protocol/key-set.ts";
import { sealShare } from "../../src/protocol/seal.ts";

/** What is to be sealed. */
export interface SealOrder {
  readonly sender: { readonly keySet: ParsedKeySet; readonly seeds: PrivateSeeds };
  readonly recipient: ParsedKeySet;
  readonly createdAt: number;
  readonly count: number;
}

/** A sealed share as it passes between threads. */
export interface SealedParts {
  readonly header: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly signature: Uint8Array;
  readonly shareId: Uint8Array;
}

const PAGE = 50;
const { sender, recipient, createdAt, count } = workerData as SealOrder;

for (let page: SealedParts[] = [], sealed = 1; sealed <= count; sealed++) {
  const content = { kind: "text", text: `share ${sealed}` } as const;
  const { envelope, shareId } = sealShare({ content, sender, recipient, createdAt, expiresAt: 0 });
  const { header, ciphertext, signature } = envelope;
  page.push({ header, ciphertext, signature, shareId });
  if (page.length === PAGE || sealed === count) {
    parentPort?.postMessage(page);
    page = [];
  }
}
