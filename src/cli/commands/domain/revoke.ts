/** `keypears domain revoke` */

import { canonicalDomain } from "../../../protocol/domain.ts";
import { parseAuthorizationBody } from "../../../protocol/domain-authorization.ts";
import { printResult, type Run } from "../../context.ts";
import { usageError } from "../../failure.ts";
import { keyPathOf, readKeyFile } from "./key-file.ts";
import { publicationLines, publicationOf } from "./publish.ts";
import { readState, serialOption, writeState } from "./state-file.ts";
import { urlOptionsOf } from "./terms.ts";

/** Raises the lowest serial that the owner stands by, and prints what to publish so that it takes effect. */
export const run: Run = async (context, [text], options) => {
  const domain = canonicalDomain(String(text));
  const keyPath = keyPathOf(domain, options.key);
  const { publicKeyHash } = readKeyFile(keyPath, domain);
  const state = readState(keyPath, domain);
  if (state?.authorization === undefined) throw usageError(`nothing was authorized for ${domain}`);
  const { serial } = state;
  const minSerial = options.below === undefined ? serial + 1 : serialOption("--below", options.below);
  if (minSerial > serial + 1)
    throw usageError(`--below is at most ${serial + 1}: no higher serial was given out`);
  if (minSerial <= state.minSerial) {
    throw usageError(`all below ${state.minSerial} is revoked already, which cannot be taken back`);
  }
  writeState(keyPath, { ...state, minSerial });
  const urlOptions = urlOptionsOf(context);
  const { apiUrl } = parseAuthorizationBody(state.authorization.body, urlOptions);
  const publication = publicationOf({ domain, apiUrl, publicKeyHash, minSerial }, urlOptions);
  const hosted = serial >= minSerial;
  printResult(
    context,
    { domain, minSerial, hosted, ...publication },
    [
      `Authorizations of ${domain} below serial ${minSerial} are revoked as soon as you publish this:`,
      "",
      ...publicationLines(publication),
      "",
      "Peers that have the old document go by it until it is stale: some minutes, at most a day.",
      hosted
        ? `The newest authorization, serial ${serial}, still holds.`
        : `Nobody may host ${domain} then. To go on: keypears domain authorize ${domain} --api-url … --node-key …`,
    ].join("\n"),
  );
};
