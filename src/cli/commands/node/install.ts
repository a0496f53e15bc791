/** `keypears node install` */

import { systemClock } from "../../../clock.ts";
import { sameBytes } from "../../../protocol/strict-message.ts";
import { consentRecord } from "../../../services/domain-consents.ts";
import { ensureNodeKey, presentOf, toNodeKey } from "../../../services/node-keys.ts";
import { printResult, type Run } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import {
  describeAuthorization,
  type OwnedAuthorization,
  readAuthorizationFile,
} from "../domain/authorization-file.ts";
import { serialOption } from "../domain/state-file.ts";
import { authorizationLines } from "../domain/terms.ts";
import { withNodeStorage } from "./storage.ts";

/** Keeps the owner's authorization for one of the node's own domains. */
export const run: Run = async (context, [path], options) => {
  const minSerial = options.minSerial === undefined ? 0 : serialOption("--min-serial", options.minSerial);
  const owned = await withNodeStorage(options, async (storage, config) => {
    const read = readAuthorizationFile(String(path), { allowInsecure: config.development });
    const { terms, authorization, domainPublicKey, rotations = [] } = read;
    const now = systemClock();
    const keys = presentOf((await ensureNodeKey(storage.nodeKeys, now)).map(toNodeKey), now);
    requireFitting(read, config, keys.current.publicKey);
    if (terms.serial < minSerial) throw refused("the authorization's serial is below --min-serial");
    const consent = consentRecord({ domainPublicKey, authorization, rotations }, terms);
    if (!(await storage.domains.install(terms.domain, { ...consent, minSerial }, now))) {
      throw refused("another authorization with as high a serial is kept already");
    }
    return read;
  });
  printResult(
    context,
    { ...describeAuthorization(owned), minSerial },
    [
      `${owned.terms.domain} is proven by:`,
      ...authorizationLines(owned),
      "A node that runs takes it up within a minute.",
    ].join("\n"),
  );
};

function requireFitting(
  { terms }: OwnedAuthorization,
  config: { readonly domains: readonly string[]; readonly apiUrl: string | undefined },
  nodePublicKey: Uint8Array,
): void {
  if (!config.domains.includes(terms.domain)) {
    throw refused(`${terms.domain} is not one of the node's own domains`);
  }
  if (config.apiUrl !== undefined && config.apiUrl !== terms.apiUrl) {
    throw refused(`the authorization is for ${terms.apiUrl}, the node is at ${config.apiUrl}`);
  }
  if (!terms.nodePublicKeys.some((key) => sameBytes(key, nodePublicKey))) {
    throw refused("the authorization does not name the node's key");
  }
}

function refused(message: string): CliError {
  return new CliError(
    "AUTHORIZATION_MISMATCH",
    EXIT.refused,
    message,
    "make another with: keypears domain authorize",
  );
}
