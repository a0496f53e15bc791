/** Hosted domains as their administrators see them. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { RegistrationMode } from "../../gen/keypears/v1/discovery_service_pb.ts";
import {
  DomainCheckOutcome,
  type DomainCheckSchema,
  type HostedDomainSchema,
  HostedDomainState,
} from "../../gen/keypears/v1/domain_service_pb.ts";
import { parseAuthorizationBody } from "../protocol/domain-authorization.ts";
import type { DomainCheck } from "../protocol/domain-check.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { HostedDomainRecord, HostedStateName, RegistrationModeName } from "../storage/stores.ts";
import type { ServiceContext } from "./context.ts";
import { readConsent } from "./domain-consents.ts";
import type { PresentNodeKeys } from "./node-keys.ts";

const DAY = 24 * 60 * 60 * 1_000;
/** How long before an authorization ends its administrator is told. */
const EXPIRY_WARNING_MS = 30 * DAY;

const STATES: Readonly<Record<HostedStateName, HostedDomainState>> = {
  ACTIVE: HostedDomainState.ACTIVE,
  SUSPENDED: HostedDomainState.SUSPENDED,
};

/** Registration modes as the contract numbers them. */
export const REGISTRATION_MODES: Readonly<Record<RegistrationModeName, RegistrationMode>> = {
  OPEN: RegistrationMode.OPEN,
  INVITATION: RegistrationMode.INVITATION,
  CLOSED: RegistrationMode.CLOSED,
};

const OUTCOMES: Readonly<Record<DomainCheck["outcome"], DomainCheckOutcome>> = {
  passed: DomainCheckOutcome.PASSED,
  failed: DomainCheckOutcome.FAILED,
  retry: DomainCheckOutcome.RETRY,
  skipped: DomainCheckOutcome.UNSPECIFIED,
};

/** How a domain stands, with what its administrator should see to before it fails. */
export async function hostedDomainMessage(
  context: Pick<ServiceContext, "stores" | "clock" | "nodeKeys" | "hosting" | "development">,
  record: HostedDomainRecord,
): Promise<MessageInitShape<typeof HostedDomainSchema>> {
  const [{ accounts, storedBytes }, keys] = await Promise.all([
    context.stores.domains.usage(record.domain),
    context.nodeKeys.present(),
  ]);
  const warnings = warningsAbout(record, keys, context);
  const checks = JSON.parse(record.checks) as readonly DomainCheck[];
  return {
    domain: record.domain,
    administrator: record.administrator,
    state: STATES[record.state],
    checks: checks.map((check) => checkMessage(check, warnings)),
    checkedAt: BigInt(record.checkedAt),
    serial: BigInt(record.serial),
    notAfter: BigInt(record.notAfter),
    domainKeyHash: record.domainKeyHash,
    registrationMode: REGISTRATION_MODES[record.registrationMode],
    accounts,
    maxAccounts: context.hosting.maxAccounts,
    storedBytes: BigInt(storedBytes),
    maxStoredBytes: BigInt(context.hosting.maxStoredBytes),
    claimedAt: BigInt(record.claimedAt),
  };
}

function checkMessage(
  { name, outcome, message }: DomainCheck,
  warnings: ReadonlyMap<string, string>,
): MessageInitShape<typeof DomainCheckSchema> {
  const warning = outcome === "passed" ? warnings.get(name) : undefined;
  return { name, outcome: OUTCOMES[outcome], message: warning ?? message };
}

/** What will fail soon, by the name of the check. */
function warningsAbout(
  record: HostedDomainRecord,
  { next }: PresentNodeKeys,
  { clock, development }: Pick<ServiceContext, "clock" | "development">,
): ReadonlyMap<string, string> {
  const warnings = new Map<string, string>();
  const left = record.notAfter - clock();
  if (left <= EXPIRY_WARNING_MS) {
    const days = Math.max(0, Math.ceil(left / DAY));
    warnings.set(
      "dates",
      `the authorization ends in ${days} days: renew it (keypears domain authorize, then renew)`,
    );
  }
  const { body } = readConsent(record).authorization;
  const { nodePublicKeys } = parseAuthorizationBody(body, { allowInsecure: development });
  if (next !== undefined && !nodePublicKeys.some((key) => sameBytes(key, next.publicKey))) {
    const day = new Date(next.activeFrom).toISOString().slice(0, 10);
    warnings.set(
      "node-key",
      `this node changes its key on ${day}: renew the authorization with the next one too`,
    );
  }
  return warnings;
}
