/** Hosted domains as their node's JSON gives them: what the online commands read of protobuf's JSON form, and show. */

import { canonicalDomain } from "../../../protocol/domain.ts";
import { showTime } from "../../duration.ts";
import type { OwnNode } from "../../node-call.ts";
import { timeOf } from "../../node-shares.ts";
import { visible } from "../../visible.ts";

/** keypears.v1.HostedDomain; members at their defaults are left out. */
export interface JsonHostedDomain {
  readonly domain: string;
  readonly administrator: string;
  readonly state?: string;
  readonly checks?: readonly JsonDomainCheck[];
  readonly checkedAt?: string;
  readonly serial?: string;
  readonly notAfter?: string;
  /** Base64. */
  readonly domainKeyHash?: string;
  readonly registrationMode?: string;
  readonly accounts?: number;
  readonly maxAccounts?: number;
  readonly storedBytes?: string;
  readonly maxStoredBytes?: string;
  readonly claimedAt?: string;
}

interface JsonDomainCheck {
  readonly name: string;
  readonly outcome?: string;
  readonly message?: string;
}

const OUTCOMES: Readonly<Record<string, string>> = {
  DOMAIN_CHECK_OUTCOME_PASSED: "passed",
  DOMAIN_CHECK_OUTCOME_FAILED: "failed",
  DOMAIN_CHECK_OUTCOME_RETRY: "retry",
};
const MAX_PAGE = 100;

/** Calls a method about one domain, which answers with how it stands. */
export async function callForDomain(
  node: OwnNode,
  method: string,
  request: Readonly<Record<string, unknown>>,
): Promise<JsonHostedDomain> {
  const answer = await node.call<{ domain: JsonHostedDomain }>(`DomainService/${method}`, request);
  return answer.domain;
}

/** All pages of a list. */
export async function listAll<Row>(
  node: OwnNode,
  method: string,
  member: string,
  request: Readonly<Record<string, unknown>> = {},
): Promise<Row[]> {
  const rows: Row[] = [];
  let pageToken = "";
  do {
    const page = await node.call<Readonly<Record<string, unknown>>>(`DomainService/${method}`, {
      ...request,
      pageSize: MAX_PAGE,
      pageToken,
    });
    rows.push(...((page[member] as readonly Row[] | undefined) ?? []));
    pageToken = (page.nextPageToken as string | undefined) ?? "";
  } while (pageToken !== "");
  return rows;
}

/** A domain for programs. */
export function describeHosted(hosted: JsonHostedDomain) {
  return {
    domain: hosted.domain,
    administrator: hosted.administrator,
    state: wordOf(hosted.state, "HOSTED_DOMAIN_STATE_"),
    checks: (hosted.checks ?? []).map(({ name, outcome, message }) => ({
      name,
      outcome: OUTCOMES[outcome ?? ""] ?? "skipped",
      message: message ?? "",
    })),
    checkedAt: timeOf(hosted.checkedAt),
    serial: Number(hosted.serial ?? 0),
    notAfter: timeOf(hosted.notAfter),
    domainPubKeyHash: Buffer.from(hosted.domainKeyHash ?? "", "base64").toString("hex"),
    registration: wordOf(hosted.registrationMode, "REGISTRATION_MODE_"),
    accounts: hosted.accounts ?? 0,
    maxAccounts: hosted.maxAccounts ?? 0,
    storedBytes: Number(hosted.storedBytes ?? 0),
    maxStoredBytes: Number(hosted.maxStoredBytes ?? 0),
    claimedAt: timeOf(hosted.claimedAt),
  };
}

/** A domain for people. */
export function hostedLines(hosted: JsonHostedDomain): string[] {
  const says = describeHosted(hosted);
  const checks = says.checks.map(
    ({ name, outcome, message }) => `  ${outcome.padEnd(7)}  ${name.padEnd(13)}  ${visible(message)}`,
  );
  return [
    `${says.domain} is ${says.state === "active" ? "hosted" : "suspended"}, administered by ${visible(says.administrator)}`,
    `  serial ${says.serial}, authorized until ${showTime(says.notAfter ?? 0)}, checked ${showTime(says.checkedAt ?? 0)}`,
    `  registration ${says.registration}, ${says.accounts} of ${says.maxAccounts} accounts, ${says.storedBytes} of ${says.maxStoredBytes} bytes`,
    ...checks,
  ];
}

/** The domain of an argument. @throws ProtocolError DOMAIN_INVALID. */
export function domainArgument(text: unknown): string {
  return canonicalDomain(String(text));
}

function wordOf(value: string | undefined, prefix: string): string {
  return value?.startsWith(prefix) ? value.slice(prefix.length).toLowerCase() : "unknown";
}
