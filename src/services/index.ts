/** All RPC services of a node, over one context. */

import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
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
import { createHealthService } from "./health.ts";
import { createKeySetService } from "./key-sets.ts";
import { createReflection } from "./reflection.ts";
import { createSchema } from "./schema.ts";
import { createShareService } from "./shares.ts";

/** Every service of a node: its own, then the standard ones that gRPC's tools look for. */
export const SERVICES: readonly DescService[] = [
  DiscoveryService,
  KeySetService,
  AccountService,
  ShareService,
  DomainService,
  FederationService,
  HashService,
  Health,
  ServerReflection,
  ServerReflectionAlpha,
];

/** What describes them, and the details of their errors. */
export const SCHEMA = createSchema(SERVICES, [file_google_rpc_error_details]);

/** Puts every service on a router. */
export function registerServices(router: ConnectRouter, context: ServiceContext): void {
  router.service(DiscoveryService, createDiscoveryService(context));
  router.service(KeySetService, createKeySetService(context));
  router.service(AccountService, createAccountService(context));
  router.service(ShareService, createShareService(context));
  router.service(FederationService, createFederationService(context));
  router.service(DomainService, createDomainService(context));
  router.service(HashService, createHashService(context));
  router.service(Health, createHealthService(context.health, SCHEMA.services));
  const reflection = createReflection({ schema: SCHEMA, shutdown: context.shutdown });
  router.service(ServerReflection, reflection.v1);
  router.service(ServerReflectionAlpha, reflection.v1alpha);
}
