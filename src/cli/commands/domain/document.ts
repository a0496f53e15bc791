/** `keypears domain document` */

import { parseApiUrl } from "../../../protocol/api-url.ts";
import { canonicalDomain } from "../../../protocol/domain.ts";
import { parseAuthorizationBody } from "../../../protocol/domain-authorization.ts";
import { printResult, type Run } from "../../context.ts";
import { usageError } from "../../failure.ts";
import { keyPathOf, readKeyFile } from "./key-file.ts";
import { publicationLines, publicationOf } from "./publish.ts";
import { readState } from "./state-file.ts";
import { urlOptionsOf } from "./terms.ts";

/** Prints what the owner has to publish. */
export const run: Run = async (context, [text], options) => {
  const domain = canonicalDomain(String(text));
  const keyPath = keyPathOf(domain, options.key);
  const { publicKeyHash } = readKeyFile(keyPath, domain);
  const state = readState(keyPath, domain);
  const urlOptions = urlOptionsOf(context);
  const apiUrl =
    typeof options.apiUrl === "string"
      ? parseApiUrl(options.apiUrl, urlOptions).href
      : state?.authorization && parseAuthorizationBody(state.authorization.body, urlOptions).apiUrl;
  if (apiUrl === undefined) {
    throw usageError(
      `nothing is authorized for ${domain} yet`,
      "authorize a host first (keypears domain authorize), or say --api-url",
    );
  }
  const minSerial = state?.minSerial ?? 0;
  const publication = publicationOf({ domain, apiUrl, publicKeyHash, minSerial }, urlOptions);
  printResult(
    context,
    { domain, ...publication },
    [
      "Publish both. The record is not required, but a second place that somebody would have to break into:",
      "",
      ...publicationLines(publication),
      "",
      `Then see what others see: keypears discover ${domain}`,
    ].join("\n"),
  );
};
