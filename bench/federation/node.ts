/**
 * Our node as a program, over TLS, with budgets that no load meets. One that takes no streams is a node as it would be
 * without the method, so that peers deliver to it in calls. Prints `{}` when it answers.
 */

import { readFile } from "node:fs/promises";
import { FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import { loadConfig } from "../../src/config.ts";
import { createNode, type NodeOverrides } from "../../src/server/node.ts";
import { createFederationService } from "../../src/services/federation.ts";
import { registerServices } from "../../src/services/index.ts";
import { type NodeOptions, programOptions } from "./options.ts";

const UNLIMITED = 1_000_000;

const options = programOptions<NodeOptions>();
const { domain, port, peer } = options;
const config = loadConfig({
  flags: {
    dev: true,
    domain,
    listen: `127.0.0.1:${port}`,
    "api-url": `https://${domain}:${port}/api`,
    "tls-cert": options.certificate,
    "tls-key": options.key,
    database: `sqlite:${options.file}`,
    resolve: [`${peer.domain}=https://127.0.0.1:${peer.port}`],
    "log-level": "error",
    "lookups-per-second": UNLIMITED,
    "lookup-burst": UNLIMITED,
    "account-changes-per-second": UNLIMITED,
    "account-change-burst": UNLIMITED,
    "deliveries-per-second": UNLIMITED,
    "delivery-burst": UNLIMITED,
    "recipient-deliveries-per-second": UNLIMITED,
    "recipient-delivery-burst": UNLIMITED,
    "max-account-bytes": Number.MAX_SAFE_INTEGER,
  },
});
await createNode(config, {
  trustedCertificates: [await readFile(options.authority, "utf8")],
  ...(!options.takesStreams && { register: registerWithoutStreams }),
});
process.stdout.write("{}\n");
process.once("SIGTERM", () => process.exit());

function registerWithoutStreams(
  ...[router, context]: Parameters<NonNullable<NodeOverrides["register"]>>
): void {
  const { deliverShares } = createFederationService(context);
  const withoutStreams: typeof router = {
    ...router,
    service(type, implementation, serviceOptions) {
      if (type.typeName !== FederationService.typeName) router.service(type, implementation, serviceOptions);
      return withoutStreams;
    },
  };
  registerServices(withoutStreams, context);
  router.service(FederationService, { deliverShares });
}
