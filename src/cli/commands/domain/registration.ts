/** `keypears domain registration` */

import { printResult, type Run } from "../../context.ts";
import { usageError } from "../../failure.ts";
import { withOwnNode } from "../../node-call.ts";
import { callForDomain, describeHosted, domainArgument, hostedLines } from "./hosted.ts";

const MODES: readonly string[] = ["open", "invitation", "closed"];

/** Says who may make an account at a domain. */
export const run: Run = async (context, [text, word]) => {
  const domain = domainArgument(text);
  const mode = String(word);
  if (!MODES.includes(mode)) throw usageError(`MODE must be one of ${MODES.join(", ")}`);
  const registrationMode = `REGISTRATION_MODE_${mode.toUpperCase()}`;
  const hosted = await withOwnNode(context, (node) =>
    callForDomain(node, "UpdateDomain", {
      domain: { domain, registrationMode },
      updateMask: "registrationMode",
    }),
  );
  printResult(context, describeHosted(hosted), hostedLines(hosted).join("\n"));
};
