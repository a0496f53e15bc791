/** `keypears domain accounts` */

import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { withOwnNode } from "../../node-call.ts";
import { timeOf } from "../../node-shares.ts";
import { visibleAddress } from "../../visible.ts";
import { domainArgument, listAll } from "./hosted.ts";

/** keypears.v1.DomainAccount in JSON. */
export interface JsonDomainAccount {
  readonly address: string;
  readonly createdAt?: string;
  readonly storedBytes?: string;
  readonly suspended?: boolean;
}

/** Lists the accounts of a domain. */
export const run: Run = async (context, [text]) => {
  const domain = domainArgument(text);
  const accounts = await withOwnNode(context, (node) =>
    listAll<JsonDomainAccount>(node, "ListAccounts", "accounts", { domain }),
  );
  const lines = await Promise.all(accounts.map(accountLine));
  if (lines.length === 0) lines.push(`${domain} has no accounts yet: keypears domain invite ${domain}`);
  printResult(context, { domain, accounts: accounts.map(describeAccount) }, lines.join("\n"));
};

/** An account for programs. */
export function describeAccount({ address, createdAt, storedBytes, suspended }: JsonDomainAccount) {
  return {
    address,
    createdAt: timeOf(createdAt),
    storedBytes: Number(storedBytes ?? 0),
    suspended: suspended ?? false,
  };
}

/** An account for people. */
export async function accountLine(account: JsonDomainAccount): Promise<string> {
  const { createdAt, storedBytes, suspended } = describeAccount(account);
  const since = `since ${showTime(createdAt ?? 0)}, ${storedBytes} bytes`;
  return `${await visibleAddress(account.address)}  ${since}${suspended ? ", suspended" : ""}`;
}
