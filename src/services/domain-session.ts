/** Who may act on a domain: the account that its owner named, and nobody else. */

import type { ConnectError } from "@connectrpc/connect";
import type { HostedDomainRecord } from "../storage/stores.ts";
import type { AuthenticatedSession, ServiceContext } from "./context.ts";
import { serviceError } from "./errors.ts";

/**
 * The domain, if the session is its administrator's.
 *
 * @param domain canonical.
 * @throws ConnectError PERMISSION_DENIED with NOT_ADMINISTRATOR, whether or not the domain is hosted here.
 */
export async function requireAdministrator(
  { stores }: Pick<ServiceContext, "stores">,
  { account }: AuthenticatedSession,
  domain: string,
): Promise<HostedDomainRecord> {
  const record = await stores.domains.get(domain);
  if (record?.administrator !== account.address) throw notAdministrator(domain);
  return record;
}

/** PERMISSION_DENIED with NOT_ADMINISTRATOR. */
export function notAdministrator(domain: string): ConnectError {
  return serviceError("NOT_ADMINISTRATOR", `you do not administer ${domain}`, { metadata: { domain } });
}
