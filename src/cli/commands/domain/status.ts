/** `keypears domain status` */

import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import {
  callForDomain,
  describeHosted,
  domainArgument,
  hostedLines,
  type JsonHostedDomain,
  listAll,
} from "./hosted.ts";

/** Shows how a domain stands, as its node found it last or finds it now; without one, all that the account administers. */
export const run: Run = async (context, [text], options) => {
  if (text === undefined) {
    const all = await withOwnNode(context, (node) =>
      listAll<JsonHostedDomain>(node, "ListDomains", "domains"),
    );
    const lines = all.length === 0 ? ["you administer no domain"] : all.flatMap(hostedLines);
    printResult(context, { domains: all.map(describeHosted) }, lines.join("\n"));
    return;
  }
  const domain = domainArgument(text);
  const method = options.check === true ? "CheckDomain" : "GetDomain";
  const hosted = await withOwnNode(context, (node) => callForDomain(node, method, { domain }));
  printResult(context, describeHosted(hosted), hostedLines(hosted).join("\n"));
};
