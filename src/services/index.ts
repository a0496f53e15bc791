/** All RPC services of a node, over one context. */

import type { ConnectRouter } from "@connectrpc/connect";
import { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { DomainService } from "../../gen/keypears/v1/domain_service_pb.ts";
import { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { HashService } from "../../gen/keypears/v1/hash_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { createAccountService } from "./accounts.ts";
import type { ServiceContext } from "./context.ts";
import { createDiscoveryService } from "./discovery.ts";
import { createDomainService } from "./domains.ts";
import { createFederationService } from "./federation.ts";
import { createHashService } from "./hashing.ts";
import { createKeySetService } from "./key-sets.ts";
import { createShareService } from "./shares.ts";

/** Puts every service on a router. */
export function registerServices(router: ConnectRouter, context: ServiceContext): void {
  router.service(DiscoveryService, createDiscoveryService(context));
  router.service(KeySetService, createKeySetService(context));
  router.service(AccountService, createAccountService(context));
  router.service(ShareService, createShareService(context));
  router.service(FederationService, createFederationService(context));
  router.service(DomainService, createDomainService(context));
  router.service(HashService, createHashService(context));
}
