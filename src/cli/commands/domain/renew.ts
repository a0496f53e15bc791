/** `keypears domain renew` */

import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { authorizationPathOf, readAuthorizationFile } from "./authorization-file.ts";
import { consentJson } from "./consent-json.ts";
import { callForDomain, describeHosted, domainArgument, hostedLines } from "./hosted.ts";
import { keyPathOf } from "./key-file.ts";
import { urlOptionsOf } from "./terms.ts";

/** Gives the host a new authorization, and the way from the domain key that it knows to another. */
export const run: Run = async (context, [text], options) => {
  const domain = domainArgument(text);
  const path =
    typeof options.authorization === "string"
      ? options.authorization
      : authorizationPathOf(keyPathOf(domain, options.key));
  const owned = readAuthorizationFile(path, urlOptionsOf(context));
  const hosted = await withOwnNode(context, (node) =>
    callForDomain(node, "RenewAuthorization", { domain, ...consentJson(owned) }),
  );
  printResult(context, describeHosted(hosted), hostedLines(hosted).join("\n"));
};
