/** `keypears domain claim` */

import { fromBase64, toBase64, wipe } from "../../../crypto/index.ts";
import { signDomainClaim } from "../../../protocol/domain-claim.ts";
import { sameBytes } from "../../../protocol/strict-message.ts";
import { printResult, type Run } from "../../context.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import { withOwnNode } from "../../node-call.ts";
import { readPassword } from "../../prompt.ts";
import { visible } from "../../visible.ts";
import { authorizationPathOf, type OwnedAuthorization, readAuthorizationFile } from "./authorization-file.ts";
import { consentJson } from "./consent-json.ts";
import { callForDomain, describeHosted, domainArgument, hostedLines } from "./hosted.ts";
import { keyPathOf, openKeyFile, readKeyFile } from "./key-file.ts";
import { urlOptionsOf } from "./terms.ts";

/** keypears.v1.BeginClaimResponse in JSON. */
interface JsonBegunClaim {
  readonly apiUrl: string;
  readonly nodePublicKey: string;
  readonly nextNodePublicKey?: string;
  readonly administrator: string;
  readonly nonce: string;
  readonly expiresAt: string;
}

/** Claims a domain at the node of the profile's account, which becomes its administrator. */
export const run: Run = async (context, [text], options) => {
  const domain = domainArgument(text);
  const keyPath = keyPathOf(domain, options.key);
  const file = readKeyFile(keyPath, domain);
  const path =
    typeof options.authorization === "string" ? options.authorization : authorizationPathOf(keyPath);
  const owned = readAuthorizationFile(path, urlOptionsOf(context));
  const hosted = await withOwnNode(context, async (node) => {
    const begun = await node.call<JsonBegunClaim>("DomainService/BeginClaim", { domain });
    const claim = {
      domain,
      apiUrl: begun.apiUrl,
      nodePublicKey: fromBase64(begun.nodePublicKey),
      administrator: begun.administrator,
      nonce: fromBase64(begun.nonce),
      expiresAt: Number(begun.expiresAt),
    };
    requireAuthorized(owned, claim);
    if (claim.administrator !== node.address) {
      throw mismatch(`the node names ${visible(claim.administrator)} as administrator, not ${node.address}`);
    }
    const keys = await openKeyFile(
      file,
      await readPassword(context, `Password of the domain key of ${domain}`),
    );
    try {
      return await callForDomain(node, "CompleteClaim", {
        domain,
        nonce: begun.nonce,
        expiresAt: begun.expiresAt,
        signature: toBase64(signDomainClaim(claim, keys.secretKey)),
        ...consentJson(owned),
      });
    } finally {
      wipe(keys.secretKey);
    }
  });
  printResult(
    context,
    describeHosted(hosted),
    [
      ...hostedLines(hosted),
      "",
      "Next:",
      `  keypears domain invite ${domain}         makes an invitation for an account`,
      `  keypears domain registration ${domain} open   lets anyone make one`,
    ].join("\n"),
  );
};

/** What is signed is for the host that the owner authorized, and for no other. */
function requireAuthorized(
  { terms }: OwnedAuthorization,
  claim: { readonly domain: string; readonly apiUrl: string; readonly nodePublicKey: Uint8Array },
): void {
  if (terms.domain !== claim.domain) {
    throw mismatch(`the authorization is for ${terms.domain}, not for ${claim.domain}`);
  }
  if (terms.apiUrl !== claim.apiUrl) {
    throw mismatch(`the authorization is for ${terms.apiUrl}, your node is at ${visible(claim.apiUrl)}`);
  }
  if (!terms.nodePublicKeys.some((key) => sameBytes(key, claim.nodePublicKey))) {
    throw mismatch("the authorization does not name your node's key");
  }
}

function mismatch(message: string): CliError {
  return new CliError(
    "AUTHORIZATION_MISMATCH",
    EXIT.refused,
    message,
    "see what to authorize: keypears domain host; then: keypears domain authorize DOMAIN",
  );
}
