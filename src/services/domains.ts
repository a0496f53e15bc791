/**
 * DomainService (docs/protocol.md, section 2.1): hosting domains for their owners. Claims and what administrators do have
 * files of their own; here is what is told of a domain, and its settings.
 */

import type { ServiceImpl } from "@connectrpc/connect";
import { type RegistrationMode, RegistrationModeSchema } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { DomainService } from "../../gen/keypears/v1/domain_service_pb.ts";
import { canonicalDomain } from "../protocol/domain.ts";
import type { RegistrationModeName } from "../storage/stores.ts";
import { requireChangingSession, requireSession, type ServiceContext } from "./context.ts";
import { createDomainAdministration } from "./domain-administration.ts";
import { createDomainClaims } from "./domain-claims.ts";
import { hostedDomainMessage, REGISTRATION_MODES } from "./domain-messages.ts";
import { notAdministrator, requireAdministrator } from "./domain-session.ts";
import { fieldError } from "./errors.ts";
import { enumField, readField, requiredField } from "./fields.ts";
import { cutPage, pagePosition, pageSizeOf, pageToken } from "./page.ts";

const MAX_PAGE_SIZE = 100;
const DEFAULT_PAGE_SIZE = 50;
const DOMAIN_POSITION = /^[a-z0-9.-]{1,255}$/;
const SETTINGS: ReadonlySet<string> = new Set(["registration_mode"]);

/** Makes the service. */
export function createDomainService(context: ServiceContext): ServiceImpl<typeof DomainService> {
  const { stores, clock, domains } = context;
  return {
    ...createDomainClaims(context),
    ...createDomainAdministration(context),

    async getDomain(request, call) {
      const session = requireSession(call);
      const domain = readField("domain", () => canonicalDomain(request.domain));
      const record = await requireAdministrator(context, session, domain);
      return { domain: await hostedDomainMessage(context, record) };
    },

    async listDomains(request, call) {
      const { account } = requireSession(call);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const list = `ListDomains ${account.address}`;
      const [after] = pagePosition(list, request.pageToken, DOMAIN_POSITION) ?? [];
      const records = await stores.domains.list(account.address, {
        limit: size + 1,
        ...(after !== undefined && { after }),
      });
      const { rows, nextPageToken } = cutPage(records, size, (last) => pageToken(list, last.domain));
      return {
        domains: await Promise.all(rows.map((record) => hostedDomainMessage(context, record))),
        nextPageToken,
      };
    },

    async updateDomain(request, call) {
      const session = await requireChangingSession(context, call);
      const changed = requiredField("domain", request.domain);
      const domain = readField("domain.domain", () => canonicalDomain(changed.domain));
      const paths = requiredField("update_mask", request.updateMask).paths;
      const unknown = paths.find((path) => !SETTINGS.has(path));
      if (unknown !== undefined || paths.length === 0) {
        throw fieldError(
          "update_mask",
          `may name ${[...SETTINGS].join(", ")} only, and has to name something`,
        );
      }
      const mode = registrationModeField(changed.registrationMode);
      const act = { domain, actor: session.account.address, time: clock() };
      const set = await stores.domains.setRegistrationMode(act, mode);
      if (set.kind === "not-administrator") throw notAdministrator(domain);
      await domains.changed();
      const record = await requireAdministrator(context, session, domain);
      return { domain: await hostedDomainMessage(context, record) };
    },
  };
}

function registrationModeField(value: RegistrationMode): RegistrationModeName {
  const field = "domain.registration_mode";
  const mode = enumField(field, value, RegistrationModeSchema);
  const names = Object.keys(REGISTRATION_MODES) as RegistrationModeName[];
  const name = names.find((known) => REGISTRATION_MODES[known] === mode);
  if (name === undefined) throw fieldError(field, "must be open, invitation or closed");
  return name;
}
