/** `keypears domain host` */

import { printResult, type Run } from "../../context.ts";
import { withOwnNode } from "../../node-call.ts";
import { hexOf, timeOf } from "../../node-shares.ts";
import { requireProfile } from "../../profile.ts";

/** keypears.v1.GetNodeKeysResponse in JSON. */
interface JsonNodeKeys {
  readonly nodePublicKey: string;
  readonly nextNodePublicKey?: string;
  readonly nextFrom?: string;
}

/** Prints what an owner authorizes who wants the node of the profile's account to host a domain. */
export const run: Run = async (context) => {
  const { apiUrl } = requireProfile(context.profile).credentials;
  const keys = await withOwnNode(context, (node) =>
    node.call<JsonNodeKeys>("DiscoveryService/GetNodeKeys", {}),
  );
  const nodeKeys = [keys.nodePublicKey, keys.nextNodePublicKey].flatMap((key) => (key ? [hexOf(key)] : []));
  printResult(
    context,
    { apiUrl, nodeKeys, nextFrom: timeOf(keys.nextFrom) },
    [`--api-url ${apiUrl}`, ...nodeKeys.map((key) => `--node-key ${key}`)].join("\n"),
  );
};
