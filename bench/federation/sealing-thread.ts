/** A thread that seals its part of the shares, and answers with all of them at once. */

import { parentPort, workerData } from "node:worker_threads";
import { type SealedShare, sealShare } from "../../src/protocol/seal.ts";
import { type SealingJob, senderOf } from "./sealing.ts";

const { people, from, to } = workerData as SealingJob;
const { senders, recipients } = people;
const sealed: SealedShare[] = [];
for (let number = from; number < to; number++) {
  const recipient = recipients[Math.floor(number / senders.length) % recipients.length];
  if (recipient === undefined) throw new Error("there is nobody who receives");
  sealed.push(
    sealShare({
      content: { kind: "text", text: "the door code is 4711" },
      sender: senderOf(people, number).keys,
      recipient: recipient.keySet,
      createdAt: Date.now(),
      expiresAt: 0,
    }),
  );
}
parentPort?.postMessage(sealed);
