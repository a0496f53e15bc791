/** Typed clients of one node, made as they are first used. */

import { type Client, createClient } from "@connectrpc/connect";
import { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import type { Environment } from "./environment.ts";

/** The services of one node. */
export interface NodeClients {
  readonly discovery: Client<typeof DiscoveryService>;
  readonly keySets: Client<typeof KeySetService>;
  readonly accounts: Client<typeof AccountService>;
  readonly shares: Client<typeof ShareService>;
}

/** Clients of the node at `apiUrl`; with `token`, as the account whose session it is. */
export function nodeClients(env: Environment, apiUrl: string, token?: () => string | undefined): NodeClients {
  const transport = env.transport(apiUrl, token);
  return {
    discovery: createClient(DiscoveryService, transport),
    keySets: createClient(KeySetService, transport),
    accounts: createClient(AccountService, transport),
    shares: createClient(ShareService, transport),
  };
}
