/** `keypears node rotate-key` */

import { systemClock } from "../../../clock.ts";
import { toHex } from "../../../crypto/index.ts";
import { rotateNodeKey } from "../../../services/node-keys.ts";
import { confirmByTyping } from "../../confirm.ts";
import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import { withNodeStorage } from "./storage.ts";

/** Makes the key that follows the node's. */
export const run: Run = async (context, _args, options) => {
  const atOnce = options.now === true;
  if (atOnce) {
    const warning = "No hosted domain will be proven until its owner has authorized the new key.";
    await confirmByTyping(context, options.yes === true, "now", warning);
  }
  const rotation = await withNodeStorage(options, ({ nodeKeys }) =>
    rotateNodeKey(nodeKeys, systemClock(), { atOnce }),
  );
  if (rotation.kind === "conflict") {
    const message = "somebody else rotated the key at the same time";
    throw new CliError("NODE_KEY_CHANGED", EXIT.refused, message, "see: keypears node keys");
  }
  const { publicKey, activeFrom } = rotation.next;
  const announced =
    rotation.kind === "pending" ? "a new key is announced already, and follows" : "the new key follows";
  printResult(
    context,
    { nodeKey: toHex(publicKey), from: activeFrom, new: rotation.kind === "announced" },
    [
      `${announced} ${atOnce ? "now" : `on ${showTime(activeFrom)}`}:`,
      toHex(publicKey),
      "A node that runs takes it up within a minute.",
    ].join("\n"),
  );
};
